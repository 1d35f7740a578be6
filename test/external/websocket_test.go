package external

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
)

// A consumer may open its WebSocket at any replica, whichever has the lock and the connection
// before: it is told what waited, and nothing under two ids.
func TestAConsumerConnectsToAnyReplica(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	replicas := []*mep.Server{start(t, c), start(t, c)}
	path := replicas[0].Want(http.StatusCreated, "POST", mep.SubscriptionsOf("watcher"),
		`{"subscriptionType":"SerAvailabilityNotificationSubscription","websockNotifConfig":{"requestWebsocketUri":true}}`).Header.Get("Location")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // ends a test that fails
	defer cancel()
	ids := map[string]string{}
	var before *websocket.Conn
	for n, at := range []int{1, 0, 0, 1, 0} {
		replicas[n%2].Register("app", fmt.Sprint("s", n), -1)
		conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(replicas[at].URL, "http")+path+"/websocket", nil) //nolint:bodyclose // the connection is closed, or the library has read the answer
		require.NoError(t, err)
		defer func() { _ = conn.CloseNow() }()
		began := time.Now()
		for told := false; !told; {
			_, b, err := conn.Read(ctx)
			require.NoError(t, err, n)
			var got struct {
				WebhookID string
				mp1.Notification
			}
			require.NoError(t, json.Unmarshal(b, &got))
			for _, r := range got.ServiceReferences {
				if id, again := ids[r.SerName]; again {
					require.Equal(t, id, got.WebhookID, "told twice under two ids")
				}
				ids[r.SerName] = got.WebhookID
				told = told || r.SerName == fmt.Sprint("s", n)
			}
		}
		t.Logf("connection %d: told %v after it was opened", n, time.Since(began).Round(time.Millisecond))
		go func() { // answers the last ping
			_, _, _ = conn.Read(ctx)
		}()
		if before != nil {
			_ = before.CloseNow()
		}
		before = conn
	}
	require.Len(t, ids, 5)
}
