// Package hosts keeps domain names in a file in the form of /etc/hosts (hosts(5)), which DNS
// servers such as dnsmasq and CoreDNS serve. It must not know rules nor applications. The file is
// its own: one that somebody else wrote is never touched.
package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

// header is the first line of the file. Only a file that begins with it, or is empty, is
// written.
const header = "# Written by mepserver; changes are overwritten.\n"

const fileMode = 0o644 // whoever serves the names must be able to read them

// Driver keeps one file.
type Driver struct {
	path  string
	write func(f *os.File, content []byte) error // a test makes it fail
}

var (
	_ driver.Whole = (*Driver)(nil)
	_ driver.Local = (*Driver)(nil)
)

// New keeps the names in the file at path.
func New(path string) *Driver { return &Driver{path: path, write: writeAndSync} }

// Local implements driver.Local.
func (d *Driver) Local() {}

// SetAll implements driver.Whole. A reader sees the file as it was or as it is to be, also after
// a crash at any moment; a file that is as it is to be is not written. A hosts file has no times
// to live. A name that would be another line, or none, is left out.
func (d *Driver) SetAll(_ context.Context, all map[driver.Name][]driver.Record) error {
	good, refused := map[driver.Name][]driver.Record{}, driver.Refusals{}
	for n, records := range all {
		if err := driver.Check(n.Name, n.Type, records); err != nil {
			refused[n] = driver.Refusal{Reason: err.Error()}
		} else {
			good[n] = records
		}
	}
	content := Content(good)
	same, err := d.check(content)
	if err == nil && !same {
		err = d.replace(content)
	}
	if err == nil && len(refused) > 0 {
		err = refused
	}
	return err
}

// Content is the file for the names, in the order of the names.
func Content(all map[driver.Name][]driver.Record) []byte {
	var lines []string
	for n, records := range all {
		for _, r := range records {
			lines = append(lines, n.Name+" "+r.Address.String())
		}
	}
	slices.Sort(lines)
	var b bytes.Buffer
	b.WriteString(header)
	for _, l := range slices.Compact(lines) {
		name, address, _ := bytes.Cut([]byte(l), []byte(" "))
		fmt.Fprintf(&b, "%s\t%s\n", address, name)
	}
	return b.Bytes()
}

// check says whether the file has the content already, or why it must not be written. A link is
// not followed: what it leads to may be another's, and replacing it would end the link.
func (d *Driver) check(content []byte) (same bool, err error) {
	info, err := os.Lstat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, d.failed("cannot be looked at", err)
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%s is no regular file; remove it, or set rules.dns.hostsFile to another", d.path)
	}
	f, err := os.Open(d.path)
	if err != nil {
		return false, d.failed("cannot be read", err)
	}
	defer func() { _ = f.Close() }() // of something only read
	now, err := io.ReadAll(io.LimitReader(f, int64(max(len(content), len(header)))+1))
	switch {
	case err != nil:
		return false, d.failed("cannot be read", err)
	case len(now) > 0 && !bytes.HasPrefix(now, []byte(header)):
		return false, fmt.Errorf("%s was not written by mepserver; remove it, or set rules.dns.hostsFile to another", d.path)
	}
	return bytes.Equal(now, content) && info.Mode().Perm() == fileMode, nil
}

// replace writes the content beside the file and renames it. The name beside it is always the
// same, so that crashes leave no more than one behind.
func (d *Driver) replace(content []byte) (err error) {
	beside := filepath.Join(filepath.Dir(d.path), "."+filepath.Base(d.path)+".mepserver")
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.failed("cannot be written", err)
	}
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return d.failed("cannot be written", err)
	}
	if err = d.write(f, content); err == nil {
		err = f.Chmod(fileMode) // whatever the umask is
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(beside, d.path)
	}
	if err != nil {
		_ = os.Remove(beside) // the error before says more
		return d.failed("cannot be written", err)
	}
	syncDir(filepath.Dir(d.path))
	return nil
}

// failed is an error without the path that Go puts into it: it names the file beside.
func (d *Driver) failed(what string, err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return fmt.Errorf("%s %s: %w", d.path, what, err)
}

func writeAndSync(f *os.File, content []byte) error {
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}

// syncDir makes a rename last. Not every system can, and the file is there in any case.
func syncDir(dir string) {
	if f, err := os.Open(dir); err == nil {
		_ = f.Sync()
		_ = f.Close()
	}
}
