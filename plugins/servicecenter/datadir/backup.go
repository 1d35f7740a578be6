package datadir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// A backup is what etcdctl snapshot save writes as well: the database, and behind it the
// SHA-256 of it. A database is a multiple of this many bytes long, so that a file that
// was cut off is told from a whole one.
const (
	dbUnit  = 512
	sumSize = sha256.Size
)

// BackupSize is how long a backup of a database is, in bytes.
func BackupSize(database int64) int64 { return database + sumSize }

// WriteBackup writes a backup of the database that write writes.
func WriteBackup(w io.Writer, write func(io.Writer) (int64, error)) error {
	h := sha256.New()
	if _, err := write(io.MultiWriter(w, h)); err != nil {
		return err
	}
	_, err := w.Write(h.Sum(nil))
	return err
}

// summed checks the sum behind a backup while it passes through.
type summed struct {
	hash hash.Hash
	tail []byte // the last bytes, which may be the sum
	n    int64
}

func newSummed() *summed { return &summed{hash: sha256.New()} }

func (s *summed) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	s.tail = append(s.tail, p...)
	if over := len(s.tail) - sumSize; over > 0 {
		_, _ = s.hash.Write(s.tail[:over]) // never fails
		s.tail = append(s.tail[:0], s.tail[over:]...)
	}
	return len(p), nil
}

// whole says whether what passed was a backup from its beginning to its end.
func (s *summed) whole() error {
	switch {
	case s.n%dbUnit != sumSize:
		return errors.New("it is cut off, or no backup")
	case !bytes.Equal(s.hash.Sum(nil), s.tail):
		return errors.New("its checksum is wrong")
	}
	return nil
}

// SaveBackup writes a backup to a file: under a name of its own until it is complete,
// checked and on disk. It never replaces a file unless force says so.
func SaveBackup(ctx context.Context, file string, force bool, from io.Reader, progress func(done int64)) (err error) {
	if _, err := os.Lstat(file); err == nil && !force {
		return fmt.Errorf("%s: %w; --force replaces it", file, fs.ErrExist)
	}
	temp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer func() {
		_ = temp.Close()
		_ = os.Remove(temp.Name()) // it has another name by then, or is of no use
	}()
	sum := newSummed()
	if err := copyShowing(ctx, io.MultiWriter(temp, sum), from, progress); err != nil {
		return err
	}
	if err := sum.whole(); err != nil {
		return fmt.Errorf("what the server sent is no backup: %w", err)
	}
	if err := errors.Join(temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := give(temp.Name(), file, force, os.Link); err != nil {
		return err
	}
	return syncDir(filepath.Dir(file))
}

// noLinks is what systems say of links on volumes that know none: FAT, some network's.
var noLinks = []error{syscall.EPERM, syscall.ENOSYS, syscall.EOPNOTSUPP, syscall.EMLINK}

// give gives a complete file its name. Without force it fails where there is a file of
// that name, though it was made meanwhile: link does, as a rename would not.
func give(temp, file string, force bool, link func(from, to string) error) error {
	if force {
		return os.Rename(temp, file)
	}
	err := link(temp, file)
	if !slices.ContainsFunc(noLinks, func(no error) bool { return errors.Is(err, no) }) {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_ = f.Close() // it is empty
	if err := os.Rename(temp, file); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}

// copyShowing copies until from ends or ctx does.
func copyShowing(ctx context.Context, to io.Writer, from io.Reader, progress func(int64)) error {
	var done int64
	b := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := from.Read(b)
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return err
			}
			done += int64(n)
			progress(done)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
