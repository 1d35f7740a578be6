package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// One STATE_CHANGED when a service falls silent, one when it is back, and nothing for
// the heartbeats in between.
func TestConsumersAreToldOfSilenceAndReturn(t *testing.T) {
	s, c := start(t, fast...), newConsumer(t)
	where := s.subscribe("watcher", c.URL+"/cb", "")
	v := s.register("app-1", "face", 1)
	for range 4 {
		v.beat()
		time.Sleep(700 * time.Millisecond)
	}
	eventually(t, "told of the silence", func() bool { return len(c.told()) == 2 })
	require.False(t, v.discovered())
	for range 4 {
		v.beat()
		time.Sleep(700 * time.Millisecond)
	}
	s.want(204, "DELETE", v.location, "")
	eventually(t, "told of the removal", func() bool { return len(c.told()) == 4 })
	require.Equal(t, []string{"face ADDED ACTIVE", "face STATE_CHANGED SUSPENDED", "face STATE_CHANGED ACTIVE", "face REMOVED ACTIVE"}, c.told())
	for i, n := range c.receipts() {
		require.Equal(t, "/cb", n.path)
		require.Equal(t, "SerAvailabilityNotification", n.body.NotificationType)
		require.Equal(t, where, n.body.Links.Subscription.Href)
		require.Len(t, n.body.ServiceReferences, 1)
		r := n.body.ServiceReferences[0]
		require.Equal(t, v.id, r.SerInstanceID)
		if i == 3 {
			require.Nil(t, r.Link)
		} else {
			require.Equal(t, base+"/services/"+v.id, r.Link.Href)
		}
	}
}
