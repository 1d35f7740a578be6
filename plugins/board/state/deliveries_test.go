package state

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
)

// telling knows of one subscription to each service.
type telling struct {
	plugins.Telling
	flaps string // a service
	most  int
	looks int // at how many services; 0: at all
}

func (o *telling) Flapping(id string) (changes int, until int64, is bool) {
	return 7, int64(time.Hour), id == o.flaps
}
func (*telling) Told(of []plugins.Changed) []plugins.Told {
	return slices.Repeat([]plugins.Told{{PutOff: 1}}, len(of))
}
func (*telling) Backlog() (pending, failing int) { return 0, 0 }
func (o *telling) Deliveries(of []plugins.Changed, most int) (out [][]plugins.Delivery) {
	o.most = most
	for i, c := range of {
		if o.looks > 0 && i >= o.looks {
			out = append(out, nil)
			continue
		}
		out = append(out, []plugins.Delivery{{ID: "s", Owner: "of-" + c.Service.SerInstanceID, Pending: true, LastError: "timeout"}})
	}
	return out
}

// Who is told of each service is said of a whole page at once, and only if it is asked for.
func TestWhoIsToldIsSaidIfItIsAskedFor(t *testing.T) {
	_, r := mixed()
	of := &telling{}
	r.host.Telling = of
	_, a := ask(t, r, "")
	require.Nil(t, a.Services[0].Subscriptions)
	_, a = ask(t, r, "deliveries=false")
	require.Nil(t, a.Services[0].Subscriptions)
	ids, a := ask(t, r, "deliveries=true&limit=4")
	for i, id := range ids {
		require.Equal(t, &[]delivery{{ID: "s", AppInstanceID: "of-" + id, Pending: true, LastError: "timeout"}}, a.Services[i].Subscriptions)
	}
	require.Equal(t, mostDeliveries, of.most)
	d, err := r.Detail(t.Context(), "new")
	require.NoError(t, err)
	require.Equal(t, "of-new", d.Subscriptions[0].AppInstanceID)
	of.looks = 1
	ids, a = ask(t, r, "deliveries=true&limit=4")
	require.Equal(t, "of-"+ids[0], (*a.Services[0].Subscriptions)[0].AppInstanceID)
	require.Nil(t, a.Services[1].Subscriptions, "it was not looked at: that is not nobody")
	r.host.Telling = nil
	_, a = ask(t, r, "deliveries=true")
	require.Equal(t, &[]delivery{}, a.Services[0].Subscriptions)
}
