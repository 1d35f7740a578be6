package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mec-liveness/mepserver/mp1"
)

// savedState is the form of the state file (ADR 0011).
type savedState struct {
	Version  int                     `json:"version"`
	App      string                  `json:"appInstanceId"`
	Services map[string]savedService `json:"services"`
}

// savedService is the registration of one service.
type savedService struct {
	ID     string `json:"serInstanceId"`
	Digest string `json:"digest"` // of the description that is registered: another one is PUT
}

const (
	stateVersion  = 1
	maxStateBytes = 16 << 20
)

// readState reads the state file. One that is absent or broken is as good as none, for the
// platform's list tells nearly the same. One that cannot be read is an error: a mistake in
// the path or the permissions would stay unnoticed.
func (a *Agent) readState() (map[string]savedService, error) {
	saved := map[string]savedService{}
	if a.options.StateFile == "" {
		return saved, nil
	}
	data, err := readAtMost(a.options.StateFile, maxStateBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return saved, nil
	case err != nil:
		return nil, fmt.Errorf("agent: read the state file: %w", err)
	}
	var s savedState
	if usable := json.Unmarshal(data, &s) == nil && s.Version == stateVersion && s.App == a.options.App; !usable {
		a.log.Warn("the state file is of another application or version, or broken: it is not used",
			"file", a.options.StateFile)
		return saved, nil
	}
	for name, one := range s.Services {
		if mp1.ValidID(one.ID) {
			saved[name] = one
		}
	}
	return saved, nil
}

// readAtMost reads a file, or its first bytes if it has more than most.
func readAtMost(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	return io.ReadAll(io.LimitReader(f, most))
}

// recordSaved has the registration of a service saved, or that it has none.
func (a *Agent) recordSaved(r *registration) {
	if r.id == "" {
		delete(a.saved, r.name)
	} else {
		a.saved[r.name] = savedService{ID: r.id, Digest: r.registeredDigest}
	}
	a.unsaved = true
}

// saveState writes the state file if it would change.
func (a *Agent) saveState() {
	a.mu.Lock()
	var data []byte
	if a.unsaved && a.options.StateFile != "" {
		data, _ = json.Marshal(savedState{stateVersion, a.options.App, a.saved}) // plain data
	}
	a.unsaved = false
	a.mu.Unlock()
	if data == nil {
		return
	}
	if err := replaceFile(a.options.StateFile, append(data, '\n')); err != nil {
		a.log.Warn("the state file cannot be written", "reason", err.Error())
		a.locked(func() { a.unsaved = true })
	}
}

// replaceFile replaces a file as a whole: after a crash there is the old one or the new
// one, never half of either. The new one has mode 0600.
func replaceFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
