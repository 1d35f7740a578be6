package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mec-liveness/mepserver/cmd/adminapi"
	"github.com/mec-liveness/mepserver/cmd/provision"
	"github.com/mec-liveness/mepserver/cmd/remote"
)

// The forms of what is printed, by the value of -o.
const (
	asText   = "text"
	asJSON   = "json"
	asWide   = "wide"
	asSecret = "secret" // the secret alone, as mep-agent's clientSecretFile has it
)

// form is the value of -o, which must be one of those.
func (g given) form(of ...string) (string, error) {
	switch show := g.last("o"); {
	case show == "":
		return of[0], nil
	case slices.Contains(of, show):
		return show, nil
	}
	return "", fmt.Errorf("-o must be %s, not %+q", strings.Join(of, " or "), g.last("o"))
}

// issue has a secret made and shows it once, or writes it to --out. The file is made before
// the secret is: the server does not know a secret any more that could not be written.
func issue(p environment, g given, replace bool, ask func() (adminapi.Issued, error)) error {
	show, err := g.form(asText, asJSON, asSecret)
	if err != nil {
		return err
	}
	var out *provision.Output
	if path := g.last("out"); path != "" {
		if _, err := os.Lstat(path); err == nil && g.on("if-missing") {
			_, err = fmt.Fprintf(p.out, "%s is there already and left as it is\n", path)
			return err
		}
		if out, err = provision.OpenOutput(path, replace); err != nil {
			return err
		}
		defer out.Close()
		if show == asText {
			show = secretForm(path)
		}
	}
	made, err := ask()
	if errors.Is(err, adminapi.ErrThere) && g.on("if-missing") && out == nil {
		_, err = fmt.Fprintf(p.out, "%s is there already and left as it is\n", g.args[0])
		return err
	}
	if err != nil {
		return err
	}
	if out == nil {
		_, err = p.out.Write(printed(show, made))
		return err
	}
	if err := out.Commit(printed(show, made)); err != nil {
		return fmt.Errorf("the secret of %s was made and could not be written: %w; mepserver app rotate %s makes another", made.ID, err, made.ID)
	}
	_, err = fmt.Fprintf(p.out, "wrote the secret of %s to %s\n", made.ID, g.last("out"))
	return err
}

// secretForm is how a secret is written to a file when no form is named: a bare secret in the
// place of a credential would be of no use to --credential-file, and the credential lost.
func secretForm(path string) string {
	if remote.HoldsCredential(path) {
		return asJSON
	}
	return asSecret
}

// printed is a secret in one of the forms.
func printed(show string, made adminapi.Issued) []byte {
	switch show {
	case asSecret:
		return []byte(made.Secret + "\n")
	case asJSON:
		b, err := json.Marshal(made)
		if err != nil { // plain text: cannot happen
			return nil
		}
		return append(b, '\n')
	}
	return fmt.Appendf(nil, "client_id:     %s\nclient_secret: %s\n", made.ID, made.Secret)
}

func printList(out io.Writer, show string, all []adminapi.Credential) error {
	if show == asJSON {
		if all == nil {
			all = []adminapi.Credential{}
		}
		return json.NewEncoder(out).Encode(map[string]any{"credentials": all})
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tROLES\tAPPS\tCREATED\tROTATED")
	for _, c := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.ID, strings.Join(c.Roles, ","), orDash(strings.Join(c.Apps, ",")), orDash(c.Created), orDash(c.Rotated))
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
