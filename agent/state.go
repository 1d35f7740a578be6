package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/mp1"
)

// savedState is the state file.
type savedState struct {
	Version  int                     `json:"version"`
	App      string                  `json:"appInstanceId"`
	Services map[string]savedService `json:"services"`
}

// savedService is a registration that is ours.
type savedService struct {
	ID     string `json:"serInstanceId"`
	Digest string `json:"digest"` // of what was registered, so that a change is noticed
}

const (
	stateVersion = 1
	maxState     = 16 << 20
)

// restore reads the state file. A broken one is as good as none, for the platform's
// list tells the same; only one that cannot be read at all ends the start.
func (a *Agent) restore() error {
	a.saved = map[string]savedService{}
	if a.o.StateFile == "" {
		return nil
	}
	data, err := readBounded(a.o.StateFile, maxState)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("agent: read the state file: %w", err)
	}
	var s savedState
	if usable := json.Unmarshal(data, &s) == nil && s.Version == stateVersion && s.App == a.o.App; !usable {
		a.log.Warn("the state file is of another application or version, or broken: it is not used",
			openlog.WithTags(openlog.Tags{"file": a.o.StateFile}))
		return nil
	}
	for name, one := range s.Services {
		if mp1.ValidID(one.ID) {
			a.saved[name] = one
		}
	}
	return nil
}

func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	return io.ReadAll(io.LimitReader(f, most))
}

// remember notes the registration of a service, or that it has none.
func (a *Agent) remember(e *entry) {
	if e.id == "" {
		delete(a.saved, e.name)
	} else {
		digest := e.digest
		if old, ok := a.saved[e.name]; ok && old.ID == e.id && e.stage == stale {
			digest = old.Digest
		}
		a.saved[e.name] = savedService{ID: e.id, Digest: digest}
	}
	a.dirty = true
}

// save writes the state file, if it would change. It never leaves half of one.
func (a *Agent) save() {
	a.mu.Lock()
	var data []byte
	if a.dirty && a.o.StateFile != "" {
		data, _ = json.Marshal(savedState{stateVersion, a.o.App, a.saved}) // plain data
	}
	a.dirty = false
	a.mu.Unlock()
	if data == nil {
		return
	}
	if err := replace(a.o.StateFile, append(data, '\n')); err != nil {
		a.log.Warn("the state file cannot be written", openlog.WithTags(openlog.Tags{"reason": err.Error()}))
		a.locked(func() { a.dirty = true })
	}
}

// replace writes a file beside the old one and takes its place.
func replace(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
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
