package keys

import (
	"context"
	"fmt"
	"time"

	"github.com/mec-liveness/mepserver/plugins/certs"
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
	data, err := certs.ReadFile(path, maxDocument)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	return data, nil
}
