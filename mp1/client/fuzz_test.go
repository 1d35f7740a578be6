package client

import (
	"context"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// Whoever reaches a callback writes what it is sent.
func FuzzANotification(f *testing.F) {
	for _, seed := range []string{"", "{}", "null", `{"notificationType":"TestNotification"}`, notificationJSON, terminationJSON, changeFrame("1", "n"),
		`{"webhookId":1,"notificationType":"SerAvailabilityNotification"}`, `{"notificationType":"SerAvailabilityNotification","_links":{"subscription":{"href":"//h"}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		handed := 0
		n := NewNotifications(func(context.Context, mp1.Notification) error { handed++; return nil }, OfApplication("a"),
			OnTermination(func(context.Context, mp1.TerminationNotification) error { handed++; return nil }))
		handOver, status := n.parse(data)
		require.Equal(t, status == 0, handOver != nil)
		if err := n.receive(t.Context(), websocket.MessageText, data); err != nil {
			require.Zero(t, handed)
			return
		}
		require.Zero(t, status, "a frame is what a POST has")
		before := handed
		require.NoError(t, n.receive(t.Context(), websocket.MessageText, data))
		require.LessOrEqual(t, handed-before, 1)
		require.LessOrEqual(t, len(n.handled), 1)
	})
}
