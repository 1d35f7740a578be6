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

// FromFile takes keys from a file. It is read each second and what it holds is compared, not
// its time: two writes of one moment have the same.
func FromFile(path string) *Source {
	fetch := func(context.Context) (*Set, error) { return Read(path) }
	return &Source{fetch: fetch, every: time.Second, retry: time.Second}
}

// Read reads a file with keys, once.
func Read(path string) (*Set, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(data)
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
