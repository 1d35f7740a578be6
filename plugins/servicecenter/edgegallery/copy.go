package edgegallery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// member is the directory in a data directory of etcd that holds its files.
const member = "member"

// hasStore says whether an etcd has kept anything in a data directory. What this user may not
// see may be there.
func hasStore(dir string) (bool, error) {
	info, err := os.Stat(filepath.Join(dir, member))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.IsDir(), err
}

// WrittenSince says whether a server has written to a data directory after a moment, as far as
// its files tell.
func WrittenSince(dir string, since time.Time) bool {
	newest := time.Time{}
	_ = filepath.WalkDir(filepath.Join(dir, member), func(_ string, e fs.DirEntry, err error) error { // what cannot be seen is not newer
		if err == nil {
			if info, err := e.Info(); err == nil && e.Type().IsRegular() && info.ModTime().After(newest) {
				newest = info.ModTime()
			}
		}
		return nil
	})
	return newest.After(since)
}

const (
	copyTries = 100
	copyPause = 100 * time.Millisecond
	block     = 64 << 10
)

// errWritten says that a file was written while it was copied.
var errWritten = errors.New("it was written meanwhile")

// copyStore copies what an etcd has in dir into to, which must not exist, and changes nothing
// in dir. Files that are read while a server writes them fit together only by chance: so the
// copy is compared with them, and made again until nothing was written. running says that a
// server has the directory open.
func copyStore(ctx context.Context, dir, to string) (running bool, err error) {
	release, running := hold(filepath.Join(dir, member, "snap", "db"))
	defer release()
	for range copyTries {
		if err = os.RemoveAll(to); err != nil {
			return running, err
		}
		if err = copyOnce(dir, to); err == nil || !errors.Is(err, errWritten) && !errors.Is(err, fs.ErrNotExist) {
			return running, err // a file of the log may go meanwhile
		}
		select {
		case <-ctx.Done():
			return running, ctx.Err()
		case <-time.After(copyPause):
		}
	}
	if running {
		return running, fmt.Errorf("cannot copy %s: EdgeGallery's mepserver writes it all the time; stop it (scale its deployment to 0) and start again", dir)
	}
	return running, fmt.Errorf("cannot copy %s: %w", dir, err)
}

// hold keeps a server from starting on the files while they are copied; running says that one
// has. A file system without locks tells of none.
func hold(db string) (release func(), running bool) {
	f, err := os.OpenFile(db, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return func() {}, false
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	return func() { _ = f.Close() }, errors.Is(err, syscall.EWOULDBLOCK)
}

func copyOnce(dir, to string) error {
	var names []string
	root := filepath.Join(dir, member)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		rest, relErr := filepath.Rel(dir, path)
		switch {
		case err != nil || relErr != nil:
			return errors.Join(err, relErr)
		case e.IsDir():
			return os.MkdirAll(filepath.Join(to, rest), 0o700)
		case !e.Type().IsRegular(), strings.HasSuffix(rest, ".tmp"): // a segment of the log that nothing is written to yet
			return nil
		}
		names = append(names, rest)
		return copyFile(path, filepath.Join(to, rest))
	})
	for _, name := range names {
		if err == nil {
			err = same(filepath.Join(dir, name), filepath.Join(to, name))
		}
	}
	return err
}

// copyFile leaves holes where the file has nothing but zeros: a segment of the log is 64 MB,
// however little is in it.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	b, zeros := make([]byte, block), make([]byte, block)
	var at int64
	for {
		n, err := io.ReadFull(in, b)
		if n > 0 && !bytes.Equal(b[:n], zeros[:n]) {
			if _, err := out.WriteAt(b[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return out.Truncate(at)
		case err != nil:
			return err
		}
	}
}

func same(a, b string) error {
	x, err := os.Open(a)
	if err != nil {
		return err
	}
	defer func() { _ = x.Close() }() // it was only read
	y, err := os.Open(b)
	if err != nil {
		return err
	}
	defer func() { _ = y.Close() }() // it was only read
	p, q := make([]byte, block), make([]byte, block)
	for {
		n, errX := io.ReadFull(x, p)
		m, errY := io.ReadFull(y, q)
		end := func(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
		switch {
		case errX != nil && !end(errX):
			return errX
		case errY != nil && !end(errY):
			return errY
		case !bytes.Equal(p[:n], q[:m]):
			return errWritten
		case errX != nil:
			return nil
		}
	}
}
