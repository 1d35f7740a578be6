package store

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// One embedded store serves most tests; they keep apart by the names of their applications.
var (
	store  *Store
	logged = &etcdtest.Lines{}
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("8") // what runs in parallel here waits, and hardly computes
	}
	if f := flag.Lookup("test.fuzzworker"); f != nil && f.Value.String() == "true" {
		return m.Run() // of what needs no store
	}
	dir, err := os.MkdirTemp("", "store-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log := plugins.NewLog(logged, "INFO")
	c, err := etcd.Open(context.Background(), etcd.Options{DataDir: dir, Quota: 1 << 30, Probe: keys.Cluster, Log: log, Repeats: logs.NewRepeats(log)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.Close()
	store = New(Options{Client: c, Log: log})
	defer store.Close()
	return m.Run()
}
