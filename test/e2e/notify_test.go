package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// One STATE_CHANGED when a service falls silent, one when it is back, and nothing for
// the heartbeats in between.
func TestConsumersAreToldOfSilenceAndReturn(t *testing.T) {
	t.Parallel()
	s, c := mep.Start(t, steady...), consumer.Start(t)
	where := s.Subscribe("watcher", c.URL+"/cb", "")
	v := s.Register("app-1", "face", 1)
	for range 4 {
		v.Beat()
		time.Sleep(700 * time.Millisecond)
	}
	wait.Until(t, "told of the silence", func() bool { return len(c.Changes()) == 2 })
	require.False(t, v.Discovered())
	for range 4 {
		v.Beat()
		time.Sleep(700 * time.Millisecond)
	}
	s.Want(204, "DELETE", v.Location, "")
	wait.Until(t, "told of the removal", func() bool { return len(c.Changes()) == 4 })
	require.Equal(t, []string{"face ADDED ACTIVE", "face STATE_CHANGED SUSPENDED", "face STATE_CHANGED ACTIVE", "face REMOVED ACTIVE"}, c.Changes())
	for i, n := range c.Receipts() {
		require.Equal(t, "/cb", n.Path)
		require.Equal(t, "SerAvailabilityNotification", n.NotificationType)
		require.Equal(t, where, n.Links.Subscription.Href)
		require.Len(t, n.ServiceReferences, 1)
		r := n.ServiceReferences[0]
		require.Equal(t, v.ID, r.SerInstanceID)
		if i == 3 {
			require.Nil(t, r.Link)
		} else {
			require.Equal(t, mep.Base+"/services/"+v.ID, r.Link.Href)
		}
	}
}

func TestASubscriptionHasALifeOfItsOwn(t *testing.T) {
	t.Parallel()
	s, c := mep.Start(t, append(mep.Fast, "MEP_APPLICATIONS_MAX_SUBSCRIPTIONS=2")...), consumer.Start(t)
	list := mep.SubscriptionsOf("a")
	require.JSONEq(t, `{"_links":{"self":{"href":"`+list+`"},"subscriptions":[]}}`, string(s.Want(200, "GET", list, "").Body))
	one := s.Subscribe("a", c.URL, `{"serNames":["x"],"states":["ACTIVE"]}`)
	two := s.Subscribe("a", c.URL, "")
	body := `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"` + c.URL + `"}`
	s.Want(403, "POST", list, body)
	s.Want(400, "POST", list, strings.Replace(body, "127.0.0.1", "10.0.0.1", 1)) // loopback only, unless configured
	m := s.Want(200, "GET", list, "").Object(t)
	require.Len(t, m["_links"].(map[string]any)["subscriptions"], 2)
	r := s.Want(200, "GET", one, "")
	require.Equal(t, one, r.Object(t)["_links"].(map[string]any)["self"].(map[string]any)["href"])
	require.NotEmpty(t, r.Header.Get("ETag"))
	s.Want(404, "GET", strings.Replace(one, "/a/", "/b/", 1), "")
	s.Want(404, "DELETE", strings.Replace(one, "/a/", "/b/", 1), "")
	s.Want(412, "DELETE", one, "", "If-Match", `"x"`)
	s.Want(204, "DELETE", two, "", "If-Match", s.Want(200, "GET", two, "").Header.Get("ETag"))
	s.Want(404, "DELETE", two, "")
	s.Want(404, "GET", list+"/0c7f5b2e-0000-4000-8000-000000000000", "")
	s.Kill()
	s.Restart()
	require.Equal(t, r.Body, s.Want(200, "GET", one, "").Body)
	s.Want(404, "GET", two, "")
	require.Equal(t, "/mep"+one, s.Want(200, "GET", "/mep"+one, "").Object(t)["_links"].(map[string]any)["self"].(map[string]any)["href"])

	eg := mep.Start(t, "MEP_COMPAT=edgegallery", "MEP_APPLICATIONS_MAX_SUBSCRIPTIONS=1")
	eg.Want(404, "GET", list, "")
	eg.Subscribe("a", c.URL, "")
	eg.Want(400, "POST", list, body)
}

func TestTheFilterSelectsWhatIsTold(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, steady...)
	v, w := s.Register("p", "x", 2), s.Register("p", "y", 2)
	consumers := map[string]*consumer.Consumer{}
	for _, filter := range []string{"", `{"serNames":["x"]}`, `{"serInstanceIds":["` + w.ID + `"]}`, `{"states":["SUSPENDED"]}`, `{"states":["ACTIVE"]}`, `{"serNames":["x"],"states":["ACTIVE"]}`, `{"isLocal":false}`,
		`{"serCategories":[{"href":"h","id":"c","name":"n","version":"1"}]}`} {
		consumers[filter] = consumer.Start(t)
		s.Subscribe("watcher", consumers[filter].URL, filter)
		v.Beat() // on a busy machine all of them may take longer than a window
		w.Beat()
	}
	wait.Until(t, "both suspended", func() bool { return v.State() == "SUSPENDED" && w.State() == "SUSPENDED" })
	v.Beat()
	wait.Until(t, "told", func() bool { return len(consumers[""].Changes()) == 3 })
	for filter, want := range map[string][]string{
		`{"serNames":["x"]}`:                     {"x STATE_CHANGED SUSPENDED", "x STATE_CHANGED ACTIVE"},
		`{"serInstanceIds":["` + w.ID + `"]}`:    {"y STATE_CHANGED SUSPENDED"},
		`{"states":["ACTIVE"]}`:                  {"x STATE_CHANGED ACTIVE"},
		`{"serNames":["x"],"states":["ACTIVE"]}`: {"x STATE_CHANGED ACTIVE"},
		`{"isLocal":false}`:                      nil,
		`{"serCategories":[{"href":"h","id":"c","name":"n","version":"1"}]}`: nil,
	} {
		wait.Until(t, filter, func() bool { return len(consumers[filter].Changes()) == len(want) })
		require.Equal(t, want, consumers[filter].Changes(), filter)
	}
	require.ElementsMatch(t, []string{"x STATE_CHANGED SUSPENDED", "y STATE_CHANGED SUSPENDED"}, consumers[`{"states":["SUSPENDED"]}`].Changes())
}

func TestAnUpdateIsToldByWhatItChanged(t *testing.T) {
	s, c := mep.Start(t, mep.Fast...), consumer.Start(t)
	s.Subscribe("watcher", c.URL, "")
	v := s.Register("p", "x", -1)
	body := mep.Info("x", -1)
	s.Want(200, "PUT", v.Location, body) // says nothing new
	s.Want(200, "PUT", v.Location, strings.Replace(body, "ACTIVE", "INACTIVE", 1))
	s.Want(200, "PUT", v.Location, body)
	s.Want(200, "PUT", v.Location, strings.Replace(body, "1.2.3", "1.2.4", 1))
	s.Want(200, "PUT", v.Location, strings.NewReplacer("1.2.3", "1.2.5", "ACTIVE", "INACTIVE").Replace(body))
	s.Want(204, "DELETE", v.Location, "")
	want := []string{"x ADDED ACTIVE", "x STATE_CHANGED INACTIVE", "x STATE_CHANGED ACTIVE", "x ATTRIBUTES_CHANGED ACTIVE", "x ATTRIBUTES_CHANGED INACTIVE", "x REMOVED INACTIVE"}
	wait.Until(t, "told", func() bool { return len(c.Changes()) >= len(want) })
	require.Equal(t, want, c.Changes())
}

// The suspended are removed when their time is over, told of, and gone from the
// ServiceComb side too.
func TestTheSuspendedAreRemovedInTheEnd(t *testing.T) {
	t.Parallel()
	s, c := mep.Start(t, append(mep.Fast, "MEP_LIVENESS_DEREGISTER_AFTER=3s")...), consumer.Start(t)
	s.Subscribe("watcher", c.URL, "")
	dead, quiet := s.Register("p", "dead", 1), s.Register("p", "quiet", -1)
	var suspended time.Time
	wait.Until(t, "removed", func() bool {
		if suspended.IsZero() && dead.State() == "SUSPENDED" {
			suspended = stateOf(t, s, dead.ID).Since
		}
		return s.Do("GET", dead.Location, "").Status == 404
	})
	require.GreaterOrEqual(t, time.Since(suspended), 2900*time.Millisecond)
	wait.Until(t, "told", func() bool { return len(c.Changes()) == 4 })
	require.Equal(t, "dead STATE_CHANGED SUSPENDED", c.Changes()[2])
	require.Equal(t, "dead REMOVED SUSPENDED", c.Changes()[3])
	wait.Until(t, "gone from service-center", func() bool { return instance(dead) == nil && len(microservices(s)) == 1 })
	s.Want(404, "PATCH", dead.Liveness, mep.Alive)
	require.Equal(t, "ACTIVE", quiet.State(), "who need not beat is not removed")
}

// Whenever the platform is killed, a change that it acknowledged is told; what is told
// twice carries the same webhook-id, and what is told first comes in order.
func TestKillLosesNoNotification(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s, c := mep.Start(t, mep.Fast...), consumer.Start(t)
	s.Subscribe("watcher", c.URL, "")
	var mu sync.Mutex
	acked := map[string][]string{} // by service, in order
	services := map[string]*mep.Service{}
	for i := range 8 {
		v := s.Register("p", fmt.Sprint("s", i), -1)
		services[v.ID], acked[v.ID] = v, []string{"ADDED"}
	}
	const kills = 8
	for k := range kills {
		if k%3 == 2 {
			c.Answer(http.StatusServiceUnavailable)
		}
		end := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-end:
						return
					default:
					}
					v, err := s.TryRegister("p", "temp", -1)
					if err != nil {
						continue
					}
					mu.Lock()
					acked[v.ID] = append(acked[v.ID], "ADDED")
					mu.Unlock()
					if r, err := s.Try("DELETE", v.Location, ""); err == nil && r.Status == 204 {
						mu.Lock()
						acked[v.ID] = append(acked[v.ID], "REMOVED")
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(time.Duration(100+rnd.IntN(700)) * time.Millisecond)
		s.Kill()
		close(end)
		wg.Wait()
		c.Answer(http.StatusNoContent)
		s.Restart()
	}
	first := map[string]int{} // place of the first receipt of each service and change
	ids := map[string]string{}
	check := func() bool {
		require.Empty(t, c.Faults(), "a webhook-id with other content")
		clear(first)
		clear(ids)
		for i, n := range c.Receipts() {
			ids[n.ID] = n.Body
			for j, r := range n.ServiceReferences {
				key := r.SerInstanceID + string(r.ChangeType)
				if _, seen := first[key]; !seen {
					first[key] = i*1000 + j
				}
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for id, changes := range acked {
			for _, change := range changes {
				if _, ok := first[id+change]; !ok {
					return false
				}
			}
		}
		return true
	}
	wait.Until(t, "everything acknowledged is told", check)
	again := len(c.Receipts()) - len(ids)
	for id, changes := range acked {
		if len(changes) == 2 {
			require.Less(t, first[id+"ADDED"], first[id+"REMOVED"], "out of order")
		}
	}
	t.Logf("%d kills, %d services changed, %d notifications, of them %d repeated, 0 lost, 0 out of order", kills, len(acked), len(c.Receipts()), again)
}

// The worst moments to die: with the change committed and nobody told, while the
// subscriber has the notification but not answered, and when it has just answered.
func TestKillAroundANotificationLosesAndReordersNothing(t *testing.T) {
	s, c := mep.Start(t, mep.Fast...), consumer.Start(t)
	s.Subscribe("watcher", c.URL, "")
	killed := make(chan struct{}, 1)
	kill := func() { s.Kill(); killed <- struct{}{} }
	register := func(name string, before, after func()) {
		c.Once(name, before, after) // not one that is sent again, which may come before the service is registered
		_, _ = s.Try("POST", mep.ServicesOf("p"), mep.Info(name, -1))
		select {
		case <-killed:
		case <-time.After(time.Minute):
			t.Fatal("the notification never came")
		}
	}
	var want []string
	for round := range 12 {
		name := fmt.Sprint("s", round)
		want = append(want, name+" ADDED ACTIVE")
		switch round % 3 {
		case 0:
			c.Answer(http.StatusServiceUnavailable)
			s.Register("p", name, -1)
			s.Kill()
			c.Answer(http.StatusNoContent)
		case 1:
			register(name, kill, nil)
		case 2:
			register(name, nil, kill)
		}
		s.Restart()
	}
	wait.Until(t, "all told", func() bool { return len(c.Distinct()) == len(want) })
	require.Equal(t, want, c.Distinct())
	ids := map[string]string{}
	for _, n := range c.Receipts() {
		for _, r := range n.ServiceReferences {
			if id, again := ids[r.SerName]; again {
				require.Equal(t, id, n.ID, "a repetition carries the same webhook-id")
			}
			ids[r.SerName] = n.ID
		}
	}
	t.Logf("12 kills around a notification: 0 lost, 0 out of order, %d repeated under the same id", len(c.Receipts())-len(want))
}
