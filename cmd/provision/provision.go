// Package provision makes what a platform begins with: a certificate authority of its own,
// the server's certificate, the keys that sign tokens and notifications, and the
// configuration that names them. It knows files and their formats; it must not know what
// uses them, and it never replaces a file unless it is asked to renew it.
package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The files of a platform, in its directory. All have mode 0600.
const (
	Authority         = "ca.pem" // what clients trust; it is no secret
	authorityKey      = "ca.key" // signs the server's certificates; the server never reads it
	serverCertificate = "server.pem"
	serverKey         = "server.key"
	IssuerKey         = "issuer.key"  // signs tokens
	WebhookKey        = "webhook.key" // signs notifications
	Configuration     = "mepserver.yaml"
	Admin             = "admin.json" // the administrator's credential, of which the store has only a hash
	data              = "data"
)

// names are all files that Create and its caller make.
var names = []string{Authority, authorityKey, serverCertificate, serverKey, IssuerKey, WebhookKey, Configuration, Admin}

// Options say which platform is made.
type Options struct {
	Dir       string   // where its files go; made when missing
	Hosts     []string // DNS names and IP addresses at which clients reach the server, the first one above all
	Listen    string   // HOST:PORT; empty: the first host if it is an address of loopback, otherwise every address
	DataDir   string   // of the embedded store; empty: data in Dir
	Endpoints []string // of an etcd cluster that takes the embedded store's place
	Now       time.Time
}

// Platform is where the files of a platform are.
type Platform struct {
	Dir     string // absolute
	DataDir string // absolute; empty with a cluster
	made    []string
	// dataIsOurs says that DataDir was not there before.
	dataIsOurs bool
}

// Path is that of one of the platform's files.
func (p *Platform) Path(name string) string { return filepath.Join(p.Dir, name) }

// Undo removes what was made, the new store included, so that a platform is made as a whole or
// not at all. What was there before is left alone; the store's directory held nothing.
func (p *Platform) Undo() {
	if p.DataDir != "" && len(p.made) > 0 {
		found, _ := os.ReadDir(p.DataDir)
		for _, e := range found {
			_ = os.RemoveAll(filepath.Join(p.DataDir, e.Name()))
		}
		if p.dataIsOurs {
			_ = os.Remove(p.DataDir)
		}
	}
	for _, path := range slices.Backward(p.made) {
		_ = os.Remove(path)
	}
	p.made = nil
}

// Write makes a file of the platform, which must not be there.
func (p *Platform) Write(name string, content []byte) error {
	path := p.Path(name)
	if err := WriteNew(path, content); err != nil {
		return err
	}
	p.made = append(p.made, path)
	return nil
}

// ErrThere says that the directory holds files of a platform already.
var ErrThere = errors.New("nothing is overwritten")

// Create makes the files of a new platform, all but Admin. None of them may be there; if one
// cannot be made, none is left. The error is one line.
func Create(o Options) (*Platform, error) {
	hosts, err := parseHosts(o.Hosts)
	if err != nil {
		return nil, err
	}
	p, err := place(o)
	if err != nil {
		return nil, err
	}
	if err := p.fill(hosts, o); err != nil {
		p.Undo()
		return nil, err
	}
	return p, nil
}

// fill writes the files.
func (p *Platform) fill(hosts []host, o Options) error {
	if err := p.makeDir(); err != nil {
		return err
	}
	pairs, err := newPairs(hosts, o.Now)
	if err != nil {
		return err
	}
	for _, f := range append(pairs, file{Configuration, configuration(p, hosts, o)}) {
		if err := p.Write(f.name, f.content); err != nil {
			return err
		}
	}
	return nil
}

// place finds the platform's directories and refuses those that hold one already.
func place(o Options) (*Platform, error) {
	dir, err := directory(o.Dir)
	if err != nil {
		return nil, err
	}
	p := &Platform{Dir: dir}
	for _, name := range names {
		switch _, err := os.Lstat(p.Path(name)); {
		case err == nil:
			return nil, fmt.Errorf("%s is there already: %w", p.Path(name), ErrThere)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	if len(o.Endpoints) > 0 {
		return p, nil
	}
	p.DataDir = p.Path(data)
	if o.DataDir != "" {
		if p.DataDir, err = directory(o.DataDir); err != nil {
			return nil, err
		}
	}
	found, err := os.ReadDir(p.DataDir)
	if err == nil && len(found) > 0 {
		return nil, fmt.Errorf("%s holds something already: %w", p.DataDir, ErrThere)
	}
	p.dataIsOurs = errors.Is(err, fs.ErrNotExist)
	return p, nil
}

// directory is the absolute path of a directory that can be written into a configuration.
func directory(path string) (string, error) {
	if path == "" || !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl) {
		return "", fmt.Errorf("a directory must be named by text without control characters, not %+q", path)
	}
	return filepath.Abs(path)
}

func (p *Platform) makeDir() error {
	switch info, err := os.Stat(p.Dir); {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is no directory", p.Dir)
	case err == nil && info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0: // who is in a group, now or later, is not known here
		return fmt.Errorf("others may write to %s, and so replace a key there; choose another directory, or chmod go-w it", p.Dir)
	case err == nil:
		return nil
	}
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return err
	}
	p.made = append(p.made, p.Dir)
	return nil
}

// WriteNew makes a file that only its owner can read. A file that is there is an error, and
// so is a symbolic link: what it leads to would be written.
func WriteNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: %w", path, ErrThere)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}
