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
	stateVersion  = 1
	maxStateBytes = 16 << 20
)

// loadState reads the state file. A broken one is as good as none, for the platform's
// list tells the same; only one that cannot be read at all ends the start.
func (a *Agent) loadState() error {
	a.saved = map[string]savedService{}
	if a.options.StateFile == "" {
		return nil
	}
	data, err := readAtMost(a.options.StateFile, maxStateBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("agent: read the state file: %w", err)
	}
	var s savedState
	if usable := json.Unmarshal(data, &s) == nil && s.Version == stateVersion && s.App == a.options.App; !usable {
		a.log.Warn("the state file is of another application or version, or broken: it is not used",
			openlog.WithTags(openlog.Tags{"file": a.options.StateFile}))
		return nil
	}
	for name, one := range s.Services {
		if mp1.ValidID(one.ID) {
			a.saved[name] = one
		}
	}
	return nil
}

func readAtMost(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	return io.ReadAll(io.LimitReader(f, most))
}

// recordSaved notes the registration of a service, or that it has none.
func (a *Agent) recordSaved(r *registration) {
	if r.id == "" {
		delete(a.saved, r.name)
	} else {
		digest := r.digest
		if old, ok := a.saved[r.name]; ok && old.ID == r.id && r.stage == updating {
			digest = old.Digest
		}
		a.saved[r.name] = savedService{ID: r.id, Digest: digest}
	}
	a.unsaved = true
}

// saveState writes the state file, if it would change. It never leaves half of one.
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
		a.log.Warn("the state file cannot be written", openlog.WithTags(openlog.Tags{"reason": err.Error()}))
		a.locked(func() { a.unsaved = true })
	}
}

// replaceFile writes a file beside the old one and takes its place.
func replaceFile(path string, data []byte) (err error) {
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
