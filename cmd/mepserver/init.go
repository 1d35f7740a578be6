package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/adminapi"
	"github.com/mec-liveness/mepserver/cmd/provision"
	"github.com/mec-liveness/mepserver/conf"
)

// adminID is the id of the first administrator.
const adminID = "admin"

// initialise makes the files of a platform and its administrator, or a new certificate.
func initialise(ctx context.Context, p environment, _ conf.Config, g given) error {
	o := provision.Options{Dir: "mep", Hosts: g.values["host"], Listen: g.last("listen"), DataDir: g.last("data-dir"), Now: time.Now()}
	if g.has("dir") {
		o.Dir = g.last("dir")
	}
	if list := g.last("etcd-endpoints"); list != "" {
		o.Endpoints = strings.Split(list, ",")
	}
	switch {
	case g.on("renew"):
		for _, name := range []string{"listen", "data-dir", "etcd-endpoints", "if-missing"} {
			if g.has(name) {
				return fmt.Errorf("--renew makes a new certificate and changes nothing else: it goes with --dir and --host, not with --%s", name)
			}
		}
		return renew(p, o)
	case len(o.Endpoints) > 0 && o.DataDir != "":
		return errors.New("--data-dir is of the embedded store, which --etcd-endpoints replaces")
	}
	if o.Listen != "" {
		if err := conf.CheckListen(o.Listen); err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
	}
	made, err := provision.Create(o)
	if errors.Is(err, provision.ErrThere) && g.on("if-missing") {
		fmt.Fprintf(p.out, "%s is left as it is\n", o.Dir)
		return nil
	}
	if err == nil {
		if err = furnish(ctx, p, o, made); err != nil {
			made.Undo()
		}
	}
	if err != nil {
		return err
	}
	tellNext(p, o, made)
	return nil
}

// renew makes a new certificate and says for whom it is, and for whom no longer.
func renew(p environment, o provision.Options) error {
	made, err := provision.Renew(o.Dir, o.Hosts, advertised(o.Dir), o.Now)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "the certificate in %s was renewed until %s; a running server takes it by itself\n", o.Dir, made.Until.UTC().Format(time.RFC3339))
	fmt.Fprintf(p.out, "it is for %s", strings.Join(made.Hosts, ", "))
	if len(made.Dropped) > 0 {
		fmt.Fprintf(p.out, ", and no longer for %s: clients that use that fail now", strings.Join(made.Dropped, ", "))
	}
	_, err = fmt.Fprintln(p.out)
	return err
}

// advertised is the address that the configuration of a platform tells clients, or "" where it
// tells none. What is wrong with the configuration keeps nobody from renewing a certificate.
func advertised(dir string) string {
	c, err := conf.Load(conf.Sources{File: filepath.Join(dir, provision.Configuration)})
	if err != nil {
		return ""
	}
	return c.Server.Advertise
}

// furnish checks the configuration of a new platform as the server will, and makes its
// administrator.
func furnish(ctx context.Context, p environment, o provision.Options, made *provision.Platform) error {
	c, err := conf.Load(conf.Sources{File: made.Path(provision.Configuration), Rules: fileRules(o.Now)})
	if err != nil || c.Store.Kind != conf.Embedded {
		return err
	}
	by, end, err := openStore(ctx, p, c, true)
	if err != nil {
		return err
	}
	defer end()
	issued, err := by.Add(ctx, adminapi.New{ID: adminID, Roles: []string{conf.RoleAdmin}})
	if err != nil {
		return err
	}
	b, err := json.Marshal(issued)
	if err != nil {
		return err
	}
	return made.Write(provision.Admin, append(b, '\n'))
}

// tellNext prints what was made and the two commands that come next.
func tellNext(p environment, o provision.Options, made *provision.Platform) {
	fmt.Fprintf(p.out, "made in %s:\n", made.Dir)
	for _, f := range [][2]string{
		{provision.Authority, "what clients trust; give it to them"},
		{"ca.key", "the key of that CA; keep it elsewhere"},
		{"server.pem, server.key", "the server's certificate for " + strings.Join(o.Hosts, ", ")},
		{provision.IssuerKey, "signs tokens"},
		{provision.WebhookKey, "signs notifications"},
		{provision.Admin, "the administrator's credential"},
		{provision.Configuration, "the configuration of the server at https://" + o.Address()},
	} {
		if f[0] != provision.Admin || made.DataDir != "" {
			fmt.Fprintf(p.out, "  %-23s %s\n", f[0], f[1])
		}
	}
	file := quoted(made.Path(provision.Configuration))
	fmt.Fprintf(p.out, "next:\n  %[1]s --config %[2]s\n  %[1]s app add my-app --config %[2]s\n", p.called(), file)
}

// quoted is a word that a shell takes as it is.
func quoted(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
