package edgegallery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
)

// Source is where an EdgeGallery's mepserver has kept what is to be imported.
type Source struct {
	From string // its data directory, or the URL of its etcd
	// Temp is a directory in which a copy of the data directory is made and removed again; Else are
	// others, which are tried in turn where nothing can be made in it.
	Temp    string
	Else    []string
	Options etcd.Options // what etcd logs, and how it fails, while it reads the copy
	Now     time.Time
	Window  time.Duration // how long a service may be silent here whose interval is Interval
}

// Read reads everything. The source is not changed.
func (s *Source) Read(ctx context.Context) (*Contents, error) {
	var r Reader
	running := false
	if IsEndpoint(s.From) {
		if err := etcd.ReadEndpoint(ctx, s.From, Root, r.See); err != nil {
			return nil, fmt.Errorf("cannot read EdgeGallery's etcd: %w", err) // its URL may hold a password
		}
	} else {
		var err error
		if running, err = s.readDirectory(ctx, &r); err != nil {
			return nil, err
		}
	}
	c := r.Contents(s.Now, s.Window)
	c.Report.Source = s.name()
	if running {
		c.note("EdgeGallery's mepserver was running: what it is told from now on is not imported")
	}
	return c, nil
}

// IsEndpoint says whether a source is the URL of an etcd.
func IsEndpoint(from string) bool { return strings.Contains(from, "://") }

// Check says why there is nothing to read at the source, as far as that is known without
// reading it.
func (s *Source) Check() error {
	if IsEndpoint(s.From) {
		return nil
	}
	_, err := s.directory()
	return err
}

// directory is the data directory; its member is as good a name of it.
func (s *Source) directory() (string, error) {
	from := filepath.Clean(s.From)
	if filepath.Base(from) == member {
		from = filepath.Dir(from)
	}
	switch there, err := hasStore(from); {
	case err != nil:
		return "", fmt.Errorf("cannot see EdgeGallery's store: %w", etcd.Whose(from, err))
	case !there:
		return "", fmt.Errorf("%w in %s: it has no directory %s", ErrNothing, from, member)
	}
	return from, nil
}

// MemberOf is the directory in a data directory that holds what EdgeGallery's mepserver has kept.
func MemberOf(from string) string {
	if from = filepath.Clean(from); filepath.Base(from) == member {
		return from
	}
	return filepath.Join(from, member)
}

// ErrNothing says that a directory holds nothing that could be imported.
var ErrNothing = errors.New("there is no store of EdgeGallery's")

func (s *Source) name() string {
	if IsEndpoint(s.From) {
		return "the etcd of EdgeGallery's mepserver"
	}
	return s.From
}

func (s *Source) readDirectory(ctx context.Context, r *Reader) (running bool, err error) {
	from, err := s.directory()
	if err != nil {
		return false, err
	}
	temp, err := s.temporary()
	if err != nil {
		return false, fmt.Errorf("cannot make a directory for the copy of %s, which needs as much room as that: %w; TMPDIR names another place for it", from, err)
	}
	defer func() { _ = os.RemoveAll(temp) }() // the next import removes it if this fails
	at := filepath.Join(temp, "etcd")
	if running, err = copyStore(ctx, from, at); err != nil {
		return running, etcd.Whose(filepath.Join(from, member), err)
	}
	if err := etcd.ReadDirectory(ctx, at, Root, s.Options, r.See); err != nil {
		return running, fmt.Errorf("cannot read the copy of EdgeGallery's store in %s: %w", from, err)
	}
	return running, nil
}

// temporary makes a directory. The error is that of the first place.
func (s *Source) temporary() (string, error) {
	dir, err := os.MkdirTemp(s.Temp, tempPrefix+"*")
	for _, other := range s.Else {
		if err == nil {
			break
		}
		var no error
		if dir, no = os.MkdirTemp(other, tempPrefix+"*"); no == nil {
			err = nil
		}
	}
	return dir, err
}

const tempPrefix = ".edgegallery-import-"

// RemoveLeft removes the copies that imports have left in dir which were killed. None may be
// under way.
func RemoveLeft(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
	for _, l := range left {
		if err == nil {
			err = os.RemoveAll(l)
		}
	}
	return err
}
