package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Output is a file that is written at once and as a whole, after something that cannot be
// undone. Whatever can fail has been tried before that.
type Output struct {
	path string
	temp *os.File // beside it
	info fs.FileInfo
}

// OpenOutput prepares a file that only its owner can read. Whoever replaces a file keeps its
// owner and its mode, for a program that reads it goes on reading it; one that is there and
// is not to be replaced, or is no plain file, is an error.
func OpenOutput(path string, replace bool) (*Output, error) {
	info, err := os.Lstat(path)
	switch {
	case err == nil && !replace:
		return nil, fmt.Errorf("%s is there already: %w", path, ErrThere)
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no plain file: %w", path, ErrThere)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	o := &Output{path: path}
	if err == nil {
		o.info = info
	}
	if o.temp, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"); err != nil { // mode 0600
		return nil, err
	}
	if o.info != nil {
		if err := errors.Join(sameOwner(o.temp, o.info), o.temp.Chmod(o.info.Mode().Perm())); err != nil {
			o.Close()
			return nil, err
		}
	}
	return o, nil
}

// Commit writes the file.
func (o *Output) Commit(content []byte) error {
	if err := o.write(content); err != nil {
		return err
	}
	return o.place()
}

// write does what a full disk can refuse.
func (o *Output) write(content []byte) error {
	_, err := o.temp.Write(content)
	return errors.Join(err, o.temp.Sync())
}

// place gives what was written its name.
func (o *Output) place() error {
	if o.info != nil {
		return os.Rename(o.temp.Name(), o.path)
	}
	return os.Link(o.temp.Name(), o.path) // fails if somebody made it meanwhile
}

// Close removes what Commit did not use.
func (o *Output) Close() {
	_ = o.temp.Close()
	_ = os.Remove(o.temp.Name()) // after a rename it is gone
}
