package servicecenter

import (
	"context"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/center"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/center/centertest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store"
)

// There can be one service-center per process, so one serves all tests; they keep
// apart by the names of their applications.
var (
	running *center.Center
	records *store.Store
	db      *etcd.Client // of both
	web     centertest.Web
	logged  = &etcdtest.Lines{}
	dataDir string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("8") // what runs in parallel here waits, and hardly computes
	}
	_ = Plugin() // as cmd does, before there is a store
	dir, err := os.MkdirTemp("", "servicecenter-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	dataDir = dir
	ctx := context.Background()
	log := plugins.NewLog(logged, "INFO")
	if err := center.Measure("127.0.0.1:30100"); err != nil {
		panic(err)
	}
	db, err = etcd.Open(ctx, etcd.Options{DataDir: dir, Quota: 1 << 30, Probe: keys.Cluster, Log: log, Repeats: logs.NewRepeats(log)})
	if err == nil {
		running, err = center.Start(center.Options{Listen: "127.0.0.1:30100", Client: db, Repeats: logs.NewRepeats(log)})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	records = store.New(store.Options{Client: db, Log: log, Consumers: running.InstanceEvents(), Reserved: center.SelfServiceID})
	served := httptest.NewServer(running.Handler())
	web = centertest.Web(served.URL)
	code := m.Run()
	served.Close()
	records.Close()
	bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := running.Stop(bounded); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
