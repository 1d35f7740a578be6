// Package datadir knows the embedded store as it lies on disk while no server runs:
// whether its files are sound and belong together, how a backup of it is checked, and
// how one becomes a directory again. It must not know what the keys mean, and it never
// changes a directory that it only looks at.
package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Damage says which file of a store cannot be used, and why.
type Damage struct {
	File string
	What string
}

// Error is one line.
func (d *Damage) Error() string { return fmt.Sprintf("%s is damaged: %s", d.File, d.What) }

func damaged(file, format string, args ...any) error {
	return &Damage{File: file, What: fmt.Sprintf(format, args...)}
}

// ErrForeign is matched by the error for a directory that another etcd has made.
var ErrForeign = errors.New("it is not a store of mepserver")

// Report is what a directory holds.
type Report struct {
	Empty     bool   // there is no store yet
	CutShort  string // the log of a first start that was ended before its first entry
	Size      int64  // bytes of the database's file
	InUse     int64  // bytes of it in use
	Segments  int    // of the log
	LogBytes  int64  // of all segments
	LastEntry uint64 // of the log
	Applied   uint64 // the last entry that the database holds
	Member    uint64 // the member that the log is of
}

// paths of a store below a directory of etcd.
type paths struct{ wal, snap, db string }

func pathsOf(dir string) paths {
	member := filepath.Join(dir, "member")
	return paths{wal: filepath.Join(member, "wal"), snap: filepath.Join(member, "snap"), db: filepath.Join(member, "snap", "db")}
}

// Check says whether etcd can be started on dir, as far as it can be said without
// starting it: etcd itself answers damage with a panic on a goroutine of its own, a
// signal, or silence. It reads every page of the database, and all of the log. An error
// that is a *Damage names the file.
func Check(dir string) (Report, error) { return CheckKeeping(dir, nil) }

// CheckKeeping is Check, which keeps some of the keys that it meets; nil: none.
func CheckKeeping(dir string, keep *Kept) (Report, error) {
	if err := regular(dir); err != nil {
		return Report{}, err
	}
	p := pathsOf(dir)
	segments, err := segmentsIn(p.wal)
	if err != nil {
		return Report{}, err
	}
	info, err := os.Stat(p.db)
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(segments) == 0:
		if left, _ := filepath.Glob(filepath.Join(p.snap, "*.snap")); len(left) > 0 {
			return Report{}, damaged(p.db, "it is missing, and so is the log in %s, but there are snapshots", p.wal)
		}
		return Report{Empty: true}, nil
	case errors.Is(err, fs.ErrNotExist):
		return Report{}, damaged(p.db, "it is missing, although there is a log in %s", p.wal)
	case err != nil:
		return Report{}, err
	case info.IsDir():
		return Report{}, damaged(p.db, "it is a directory")
	case info.Size() == 0 && len(segments) == 0 && neverUsed(p):
		return Report{Empty: true}, nil
	}
	db, err := openDB(p.db)
	if err != nil {
		return Report{}, err
	}
	defer db.close()
	db.keep = keep
	var l *log
	var logErr error
	var reading sync.WaitGroup
	reading.Go(func() { l, logErr = readLog(segments) })
	state, err := db.state()
	reading.Wait()
	if err != nil {
		return Report{}, err
	}
	if len(segments) == 0 {
		if state.index == 0 {
			return Report{Empty: true, Size: info.Size()}, nil // its first start was cut short
		}
		return Report{}, damaged(p.wal, "it holds no log, although the database has been written to")
	}
	if logErr != nil {
		return Report{}, logErr
	}
	if state.index == 0 && l.last == 0 && l.commit == 0 && len(l.segments) == 1 {
		// etcd takes this log for one of a member that has joined others, and waits for them for ever
		return Report{Empty: true, CutShort: p.wal, Size: info.Size()}, nil
	}
	if err := belongTogether(p, state, l); err != nil {
		return Report{}, err
	}
	return Report{Size: info.Size(), InUse: db.inUse(), Segments: len(segments), LogBytes: l.bytes, LastEntry: l.last, Applied: state.index, Member: l.node}, nil
}

// regular says that something below dir is neither a file nor a directory. To open a FIFO
// waits for somebody who writes to it.
func regular(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		mode := e.Type()
		if mode&fs.ModeSymlink != 0 {
			info, err := os.Stat(path)
			if err != nil {
				return nil //nolint:nilerr // it leads nowhere, as whoever opens it will find
			}
			mode = info.Mode().Type()
		}
		if !mode.IsDir() && !mode.IsRegular() {
			return damaged(path, "it is neither a file nor a directory")
		}
		return nil
	})
}

// neverUsed says whether an empty database may be what the very first start was killed
// over: etcd makes the log after it.
func neverUsed(p paths) bool {
	_, err := os.Lstat(p.wal)
	left, _ := filepath.Glob(filepath.Join(p.snap, "*.snap"))
	return errors.Is(err, fs.ErrNotExist) && len(left) == 0
}

// belongTogether compares the database with the log that etcd would apply to it.
func belongTogether(p paths, s state, l *log) error {
	at, err := newestSnapshot(p.snap, l)
	if err != nil {
		return err
	}
	last := l.segments[len(l.segments)-1].path
	first := l.segments[0]
	switch {
	case first.index > at:
		return damaged(p.snap, "the snapshot that the log goes on from is missing: the log begins at entry %d, the newest usable snapshot is of %d", first.index, at)
	case s.index < at:
		return damaged(p.db, "it is older than the log: it holds entry %d, the log goes on from %d", s.index, at)
	case s.index > max(l.last, at):
		return damaged(last, "it ends at entry %d, although the database holds %d", max(l.last, at), s.index)
	case l.commit > max(l.last, at):
		return damaged(last, "it ends at entry %d, although %d were committed", max(l.last, at), l.commit)
	}
	if term, known := l.termOf(s.index); known && s.term != 0 && term != s.term {
		return damaged(p.wal, "it is not the log of this database: entry %d has term %d, in the database %d", s.index, term, s.term)
	}
	return ours(p, s, l)
}

// ours refuses the member of a cluster: it would wait for the others for ever.
func ours(p paths, s state, l *log) error {
	if s.index == 0 {
		return nil
	}
	var others []string
	self := false
	for key, value := range s.members {
		var m struct {
			Name string `json:"name"`
		}
		_ = json.Unmarshal(value, &m) // the name only helps who reads it
		if strings.EqualFold(key, fmt.Sprintf("%x", l.node)) {
			self = true
		} else {
			others = append(others, m.Name)
		}
	}
	switch {
	case len(others) > 0:
		return fmt.Errorf("%s: %w: it belongs to an etcd cluster of %d members", filepath.Dir(p.wal), ErrForeign, len(s.members))
	case !self:
		return fmt.Errorf("%s: %w: its log and its database are of different members", filepath.Dir(p.wal), ErrForeign)
	}
	return nil
}
