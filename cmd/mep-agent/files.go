package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/conf"
)

// checkFiles looks at everything that the configuration names outside of itself: files, folders
// and programs. Package conf does not, for a configuration may be made elsewhere.
func checkFiles(c conf.Agent) (all conf.Faults) {
	look := func(path, name string, usable func(name string) error) {
		if name == "" {
			return
		}
		if err := usable(name); err != nil {
			all = append(all, conf.Fault{Path: path, Rule: fmt.Sprintf("%q: %v", name, withoutPath(err))})
		}
	}
	p, i := c.Platform, c.Identity
	look("platform.caFile", p.CAFile, func(name string) error {
		_, err := agent.NewTransport(agent.TLS{CAFile: name})
		return err
	})
	readable := func(name string) error {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		return f.Close()
	}
	before := len(all)
	look("platform.certFile", p.CertFile, readable)
	look("platform.keyFile", p.KeyFile, readable)
	if len(all) == before && p.CertFile != "" && p.KeyFile != "" {
		look("platform.certFile", p.CertFile, func(name string) error { return checkPair(name, p.KeyFile) })
	}
	secret := func(name string) error {
		_, err := agent.ReadSecret(name)
		return err
	}
	look("identity.tokenFile", i.TokenFile, secret)
	look("identity.clientSecretFile", i.ClientSecretFile, secret)
	look("identity.accessKeyFile", i.AccessKeyFile, secret)
	look("identity.secretKeyFile", i.SecretKeyFile, secret)
	look("application.stateFile", c.Application.StateFile, checkStateFile)
	for n, s := range c.Services {
		if s.Probe != nil && len(s.Probe.Exec) > 0 {
			look(fmt.Sprintf("services[%d].probe.exec", n), s.Probe.Exec[0], func(name string) error {
				_, err := exec.LookPath(name)
				return err
			})
		}
	}
	return all
}

// withoutPath is the error without the name of the file, which is said already.
func withoutPath(err error) error {
	var file *fs.PathError
	var program *exec.Error
	switch {
	case errors.As(err, &file):
		return file.Err
	case errors.As(err, &program):
		return program.Err
	}
	return err
}

// checkPair wants a certificate and its key that can be used now.
func checkPair(cert, key string) error {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	if until := pair.Leaf.NotAfter; time.Now().After(until) {
		return fmt.Errorf("the certificate ended on %s", until.UTC().Format(time.DateOnly))
	}
	return nil
}

// checkStateFile wants a folder that is there, and a file in it, if there is one, that can be
// read. Whether it can be written shows only when it is.
func checkStateFile(name string) error {
	if info, err := os.Stat(filepath.Dir(name)); err != nil {
		return fmt.Errorf("its folder: %w", withoutPath(err))
	} else if !info.IsDir() {
		return errors.New("its folder is none")
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("is no file")
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return f.Close()
}

// checkLocal wants an address that the agent can listen on, or on which it does already.
func checkLocal(ctx context.Context, address string) []finding {
	if address == "" {
		return nil
	}
	f := finding{"configuration", "local.listen", good, address, ""}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err == nil {
		err = l.Close()
	} else if _, asked := askAgent(ctx, address); asked == nil {
		f.Detail, err = address+", where an agent runs already", nil
	}
	if err != nil {
		f.Result, f.Detail = bad, err.Error()
	}
	return []finding{f}
}

// warnings are what the agent works with, but hardly as it is meant.
func warnings(c conf.Agent, environ []string) (all []finding) {
	for _, f := range c.Warnings {
		all = append(all, finding{"configuration", cmp.Or(f.Path, f.Where), warning, f.String(), ""})
	}
	for _, e := range plainTokenEndpoints(c) {
		all = append(all, finding{"identity", "TLS", warning, "tokens and secrets are sent without TLS to " + e, ""})
	}
	for _, m := range conf.MisspeltAgent(environ) {
		all = append(all, finding{"environment", m.Variable, warning, "names no setting", "is it meant to be " + m.Setting + "?"})
	}
	return all
}
