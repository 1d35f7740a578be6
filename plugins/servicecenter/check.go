package servicecenter

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/datadir"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/quota"
)

// etcdDir is where the embedded etcd lies.
func etcdDir(dataDir string) string { return filepath.Join(dataDir, "etcd") }

// whatToDo follows the name of a damaged file.
const whatToDo = `restore a backup (docs/operations.md, "The embedded store")`

// sound says whether etcd can be started on the directory: it answers damage with a
// panic, a signal or silence.
func sound(dataDir string) (datadir.Report, error) {
	r, err := datadir.Check(etcdDir(dataDir))
	switch {
	case errors.As(err, new(*datadir.Damage)):
		return r, fmt.Errorf("cannot open the store in %s: %w; %s", dataDir, err, whatToDo)
	case err != nil:
		return r, storeFault("cannot open the store", dataDir, err)
	case !r.Empty && r.Member != identity.Member():
		return r, fmt.Errorf("cannot open the store in %s: %w: another etcd has made %s", dataDir, datadir.ErrForeign, etcdDir(dataDir))
	}
	return r, nil
}

// contents count what a store holds.
type contents struct {
	states        map[heartbeat.State]int
	unreadable    int
	first         string // key that cannot be read
	subscriptions int
	events        int
	applications  int
	instances     int
	services      int
}

func (c *contents) take(kv *mvccpb.KeyValue) {
	key, ok := string(kv.Key), true
	switch {
	case strings.HasPrefix(key, recordPrefix):
		r, err := decodeRecord(kv)
		if ok = err == nil; ok {
			c.states[r.State]++
		}
	case strings.HasPrefix(key, subPrefix):
		c.subscriptions++
		_, ok = decodeSubscription(kv)
	case strings.HasPrefix(key, cursorPrefix):
		_, ok = decodeCursor(kv)
	case strings.HasPrefix(key, outboxPrefix):
		c.events++
		_, ok = decodeEvent(kv)
	case strings.HasPrefix(key, appPrefix):
		c.applications++
		_, ok = decodeApplication(kv)
	case strings.HasPrefix(key, instancePrefix):
		c.instances++
	case strings.HasPrefix(key, servicePrefix):
		c.services++
	}
	if !ok {
		c.unreadable++
		if c.first == "" || key < c.first {
			c.first = key
		}
	}
}

// Check examines the embedded store in a directory that no server uses, as far as its
// start does and beyond, and writes a short report. It changes nothing. An error is one
// line: the store is not sound, or cannot be looked at.
func Check(dataDir string, out io.Writer) error {
	lock, err := lockExisting(dataDir)
	if errors.Is(err, errInUse) {
		return fmt.Errorf("%w; stop it first, or take a checked copy with mepserver backup while it runs", err)
	}
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	r, err := sound(dataDir)
	if err != nil {
		return err
	}
	if r.Empty {
		return fmt.Errorf("there is no store in %s", dataDir)
	}
	c := contents{states: map[heartbeat.State]int{}}
	h, err := datadir.Keys(etcdDir(dataDir), c.take)
	if err != nil {
		return fmt.Errorf("the store in %s: %w; %s", dataDir, err, whatToDo)
	}
	all := 0
	for _, n := range c.states {
		all += n
	}
	fmt.Fprintf(out, "store in %s\n"+
		"  database       %s, %s in use; revision %d, history from %d on, %d keys\n"+
		"  log            %d segments, %s, up to entry %d; the database holds %d\n"+
		"  services       %d: %d ACTIVE, %d SUSPENDED, %d INACTIVE\n"+
		"  applications   %d registered; %d subscriptions, %d events\n"+
		"  ServiceComb    %d microservices, %d instances\n",
		dataDir, quota.Bytes(r.Size), quota.Bytes(r.InUse), h.Revision, max(h.Compacted, 1), h.Keys,
		r.Segments, quota.Bytes(r.LogBytes), r.LastEntry, r.Applied,
		all, c.states[heartbeat.Active], c.states[heartbeat.Suspended], c.states[heartbeat.Inactive],
		c.applications, c.subscriptions, c.events, c.services, c.instances)
	if c.unreadable > 0 {
		return fmt.Errorf("the files of the store in %s are sound, but %d of its values cannot be read, the first at %s; they are left out, alone", dataDir, c.unreadable, plugins.Clean(c.first))
	}
	fmt.Fprintln(out, "  it is sound")
	return nil
}
