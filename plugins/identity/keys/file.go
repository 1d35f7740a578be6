package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// maxDocument is what is read of a file or an answer with keys: 64 keys with the chains of
// their certificates are less.
const maxDocument = 1 << 20

// FromFile takes keys from a file, which is read again when it has changed.
func FromFile(path string) *Source {
	f := &file{path: path}
	return &Source{fetch: f.fetch, every: time.Second, retry: time.Second}
}

// Read reads a file with keys, once.
func Read(path string) (*Set, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(data)
}

// file is fetched from by one at a time.
type file struct {
	path string
	seen fs.FileInfo // when it was read; nil: it was not
}

func (f *file) fetch(_ context.Context, known *Set) (*Set, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, reason(err)
	}
	if known != nil && f.seen != nil && os.SameFile(info, f.seen) && info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size() {
		return known, nil
	}
	set, err := Read(f.path)
	if err == nil {
		f.seen = info
	}
	return set, err
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	switch {
	case err != nil:
		return nil, reason(err)
	case len(data) > maxDocument:
		return nil, errors.New("is larger than 1 MiB")
	}
	return data, nil
}

// reason leaves the path out of an error, for whoever shows it says it.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}
