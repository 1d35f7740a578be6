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
	"strings"
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

// Target says why a backup cannot be written to a file, as far as it can be said before.
// Only a file is ever replaced, only if force says so, and none in the data directory of
// the server that is backed up, where its lock and its database stand.
func Target(file string, force bool, dataDir string) error {
	if file == "" {
		return errors.New("the name of the backup's file is empty")
	}
	info, err := os.Lstat(file)
	switch {
	case err == nil && info.IsDir(), strings.HasSuffix(file, string(filepath.Separator)):
		return fmt.Errorf("%s is a directory; name a file in it", file)
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file; a backup replaces files only", file)
	case err == nil && !force:
		return fmt.Errorf("%s: %w; --force replaces it", file, fs.ErrExist)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("the backup cannot be written to %s: %w", file, err)
	}
	if info != nil && within(dir, dataDir) {
		return fmt.Errorf("%s lies in the data directory, where a backup replaces nothing; name another file", file)
	}
	return nil
}

// within says whether dir, without symbolic links, is root or below it.
func within(dir, root string) bool {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return false // there is none
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return false
	}
	if root, err = filepath.Abs(root); err != nil {
		return false
	}
	rel, err := filepath.Rel(root, dir)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// SaveBackup writes a backup to a file: under a name of its own until it is complete,
// checked and on disk. Target says before whether it may be written there.
func SaveBackup(ctx context.Context, file string, force bool, from io.Reader, progress func(done int64)) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer func() {
		_ = temp.Close()
		_ = os.Remove(temp.Name()) // it has another name by then, or is of no use
	}()
	sum := newSummed()
	err = copyShowing(ctx, io.MultiWriter(temp, sum), from, progress)
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("the backup was stopped before it was complete; %s was not written", file)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the server ended before the backup was complete; %s was not written", file)
	case err != nil:
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
