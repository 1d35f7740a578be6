// Package certs reads certificates and keys from PEM files, checks them, and reads them
// again when the files change. It has the handshake that follows a dial, for what is read counts
// there. It must not know who uses them, nor whom anybody dials.
package certs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// maxFile bounds what is read of one file. The bundle of all public authorities has 250 KiB.
const maxFile = 2 << 20

// Part says which file of a Pair it is. Other sources have one file, the first part.
type Part int

// The parts.
const (
	Certificate Part = iota
	Key
	Password
)

// Fault is what is wrong with one file.
type Fault struct {
	Part Part
	File string // "": it is no file that is wrong, but a Password
	Rule string // what must hold, and what was found; never anything of a key or a password
}

// Error implements error.
func (f Fault) Error() string {
	if f.File == "" {
		return f.Rule
	}
	return fmt.Sprintf("%+q %s", f.File, f.Rule)
}

// Faults is everything that is wrong with some files.
type Faults []Fault

// Error has all of them on one line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "; ")
}

func (f *Faults) add(part Part, file, format string, args ...any) {
	*f = append(*f, Fault{part, file, fmt.Sprintf(format, args...)})
}

// err is nil when there is no fault; a Faults(nil) in an error would not be.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Source is something that is made of the contents of files: Pair, Pool, PrivateKeys and
// PublicKeys are.
type Source[T any] interface {
	// Files are the paths, in the order in which Parse takes what they hold.
	Files() []string
	// Parse makes it. An element of contents whose file could not be read is nil, and is
	// reported already. The error is a Faults, or one of its own.
	Parse(contents [][]byte, now time.Time) (T, error)
}

// Load reads a source once. Its error has everything that is wrong with any of the files.
func Load[T any](s Source[T], now time.Time) (T, error) {
	contents, unread := read(s.Files())
	return parse(s, contents, unread, now)
}

func parse[T any](s Source[T], contents [][]byte, unread error, now time.Time) (T, error) {
	v, err := s.Parse(contents, now)
	if unread != nil {
		var zero T
		return zero, merge(unread, err)
	}
	return v, err
}

// merge keeps what errors.As finds as Faults in one list.
func merge(a, b error) error {
	var x, y Faults
	if errors.As(a, &x) && errors.As(b, &y) {
		return append(x[:len(x):len(x)], y...)
	}
	return errors.Join(a, b)
}

// read reads all files. What cannot be read is nil. That the certificate and the key are
// one file is usual.
func read(files []string) (contents [][]byte, err error) {
	var faults Faults
	contents = make([][]byte, len(files))
	for i, file := range files {
		if file == "" {
			continue
		}
		b, err := ReadFile(file, maxFile)
		if err != nil {
			faults.add(Part(i), file, "cannot be read: %v", err)
			continue
		}
		contents[i] = b
	}
	return contents, faults.err()
}

// ReadFile reads a regular file of at most limit bytes, which is in whole MiB. Whatever else
// has the name is refused at once: to open a pipe would hang until somebody writes, and a
// device may never end. Its errors leave out the path, for whoever shows them says it.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	is, err := f.Stat()
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case !is.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case int64(len(b)) > limit:
		return nil, fmt.Errorf("it is larger than %d MiB", limit>>20)
	}
	return b, nil
}

func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
