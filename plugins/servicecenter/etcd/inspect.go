package etcd

import (
	"errors"
	"fmt"
	"path/filepath"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/datadir"
)

// Dir is the directory of the embedded etcd in a data directory.
func Dir(dataDir string) string { return filepath.Join(dataDir, "etcd") }

// whatToDo follows the name of a damaged file.
const whatToDo = "restore a backup (mepserver restore --help says how)"

// checkDir says whether etcd can be started on the directory. It must be asked first: etcd
// answers damage with a panic, a signal or silence.
func checkDir(dataDir string, keep *datadir.Kept) (datadir.Report, error) {
	r, err := datadir.CheckKeeping(Dir(dataDir), keep)
	switch {
	case errors.As(err, new(*datadir.Damage)):
		return r, fmt.Errorf("cannot open the store in %s: %w; %s", dataDir, err, whatToDo)
	case err != nil:
		return r, storeFault("cannot open the store", dataDir, err)
	case !r.Empty && r.Member != identity.Member():
		return r, fmt.Errorf("cannot open the store in %s: %w: another etcd has made %s", dataDir, datadir.ErrForeign, Dir(dataDir))
	}
	return r, nil
}

// Inspect examines the embedded store in a directory that no server uses, as far as its
// start does and beyond, and shows each of its keys. It changes nothing. An error is one
// line: the store is not sound, or cannot be looked at.
func Inspect(dataDir string, see func(*mvccpb.KeyValue)) (r datadir.Report, h datadir.History, err error) {
	lock, err := lockExisting(dataDir)
	if errors.Is(err, errInUse) {
		return r, h, fmt.Errorf("%w; stop it first, or take a checked copy with mepserver backup while it runs", err)
	}
	if err != nil {
		return r, h, err
	}
	defer func() { _ = lock.Close() }()
	if r, err = checkDir(dataDir, nil); err != nil {
		return r, h, err
	}
	if r.Empty {
		return r, h, fmt.Errorf("there is no store in %s", dataDir)
	}
	if h, err = datadir.Keys(Dir(dataDir), see); err != nil {
		return r, h, fmt.Errorf("the store in %s: %w; %s", dataDir, err, whatToDo)
	}
	return r, h, nil
}
