package notify

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// A consumer drops what it has, by webhook-id: it must not drop what a restored store
// sent at a revision that had been used before.
func TestAWebhookIDIsNotUsedAgainAfterARestore(t *testing.T) {
	s := &plugins.Subscription{ID: "s", Owner: "app"}
	id := func(events ...*message) string { return compose(s, events).id }
	lost, again := event(7, "x S", 1000), event(7, "y S", 2000)
	require.NotEqual(t, id(lost), id(again))
	require.Equal(t, id(lost), id(event(7, "x S", 1000)), "whoever sends it")
	first := event(6, "z S", 500)
	ids := map[string]bool{id(first): true, id(lost): true, id(first, lost): true, id(first, again): true}
	require.Len(t, ids, 4, "%v", ids)
}

// isLocal is the platform's to say (MEC 011 §8.1.2.2 NOTE 4); events of an earlier release
// carry what the application had said.
func TestIsLocalIsFilteredByThePlatformsValue(t *testing.T) {
	m, err := newMessage(&plugins.Event{Attributes: `{"serName":"n","isLocal":false}`}, plugins.Age{})
	require.NoError(t, err)
	yes, no := true, false
	require.True(t, (&mp1.FilteringCriteria{IsLocal: &yes}).Match(&m.info))
	require.False(t, (&mp1.FilteringCriteria{IsLocal: &no}).Match(&m.info))
}

// A service that was removed has no link.
func TestOnlyWhatIsThereHasALink(t *testing.T) {
	s := &plugins.Subscription{ID: "s", Owner: "app", Prefix: "/mep"}
	var n mp1.Notification
	require.NoError(t, json.Unmarshal(compose(s, []*message{event(7, "x +", 1), event(8, "x -", 2), event(9, "y ~", 3)}).body, &n))
	require.Equal(t, "/mep"+mp1.Base+"/services/x", n.ServiceReferences[0].Link.Href)
	require.Nil(t, n.ServiceReferences[1].Link)
	require.Equal(t, "/mep"+mp1.Base+"/services/y", n.ServiceReferences[2].Link.Href)
}

func TestAConsumersHostHasItsPort(t *testing.T) {
	host := func(callback string) string {
		return hostOf(&plugins.Subscription{Asked: mp1.Subscription{CallbackReference: callback}})
	}
	require.Equal(t, "h:80", host("http://H:80/a?b#c"))
	require.NotEqual(t, host("http://h:80"), host("http://h:81"))
	require.Empty(t, host("://"))
}
