package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// One STATE_CHANGED when a service falls silent, one when it is back, and nothing for
// the heartbeats in between.
func TestConsumersAreToldOfSilenceAndReturn(t *testing.T) {
	t.Parallel()
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

func TestASubscriptionHasALifeOfItsOwn(t *testing.T) {
	t.Parallel()
	s, c := start(t, append(fast, "MEP_APPLICATIONS_MAX_SUBSCRIPTIONS=2")...), newConsumer(t)
	list := base + "/applications/a/subscriptions"
	require.JSONEq(t, `{"_links":{"self":{"href":"`+list+`"},"subscriptions":[]}}`, string(s.want(200, "GET", list, "").body))
	one := s.subscribe("a", c.URL, `{"serNames":["x"],"states":["ACTIVE"]}`)
	two := s.subscribe("a", c.URL, "")
	body := `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"` + c.URL + `"}`
	s.want(403, "POST", list, body)
	s.want(400, "POST", list, strings.Replace(body, "127.0.0.1", "10.0.0.1", 1)) // loopback only, unless configured
	m := s.want(200, "GET", list, "").json(t)
	require.Len(t, m["_links"].(map[string]any)["subscriptions"], 2)
	r := s.want(200, "GET", one, "")
	require.Equal(t, one, r.json(t)["_links"].(map[string]any)["self"].(map[string]any)["href"])
	require.NotEmpty(t, r.header.Get("ETag"))
	s.want(404, "GET", strings.Replace(one, "/a/", "/b/", 1), "")
	s.want(404, "DELETE", strings.Replace(one, "/a/", "/b/", 1), "")
	s.want(412, "DELETE", one, "", "If-Match", `"x"`)
	s.want(204, "DELETE", two, "", "If-Match", s.want(200, "GET", two, "").header.Get("ETag"))
	s.want(404, "DELETE", two, "")
	s.want(404, "GET", list+"/0c7f5b2e-0000-4000-8000-000000000000", "")
	s.kill()
	s.launch()
	require.Equal(t, r.body, s.want(200, "GET", one, "").body)
	s.want(404, "GET", two, "")
	require.Equal(t, "/mep"+one, s.want(200, "GET", "/mep"+one, "").json(t)["_links"].(map[string]any)["self"].(map[string]any)["href"])

	eg := start(t, "MEP_COMPAT=edgegallery", "MEP_APPLICATIONS_MAX_SUBSCRIPTIONS=1")
	eg.want(404, "GET", list, "")
	eg.subscribe("a", c.URL, "")
	eg.want(400, "POST", list, body)
}

func TestTheFilterSelectsWhatIsTold(t *testing.T) {
	t.Parallel()
	s := start(t, fast...)
	v, w := s.register("p", "x", 1), s.register("p", "y", 1)
	consumers := map[string]*consumer{}
	for _, filter := range []string{"", `{"serNames":["x"]}`, `{"serInstanceIds":["` + w.id + `"]}`, `{"states":["SUSPENDED"]}`, `{"states":["ACTIVE"]}`, `{"serNames":["x"],"states":["ACTIVE"]}`, `{"isLocal":false}`,
		`{"serCategories":[{"href":"h","id":"c","name":"n","version":"1"}]}`} {
		consumers[filter] = newConsumer(t)
		s.subscribe("watcher", consumers[filter].URL, filter)
	}
	eventually(t, "both suspended", func() bool { return v.state() == "SUSPENDED" && w.state() == "SUSPENDED" })
	v.beat()
	eventually(t, "told", func() bool { return len(consumers[""].told()) == 3 })
	for filter, want := range map[string][]string{
		`{"serNames":["x"]}`:                     {"x STATE_CHANGED SUSPENDED", "x STATE_CHANGED ACTIVE"},
		`{"serInstanceIds":["` + w.id + `"]}`:    {"y STATE_CHANGED SUSPENDED"},
		`{"states":["ACTIVE"]}`:                  {"x STATE_CHANGED ACTIVE"},
		`{"serNames":["x"],"states":["ACTIVE"]}`: {"x STATE_CHANGED ACTIVE"},
		`{"isLocal":false}`:                      nil,
		`{"serCategories":[{"href":"h","id":"c","name":"n","version":"1"}]}`: nil,
	} {
		eventually(t, filter, func() bool { return len(consumers[filter].told()) == len(want) })
		require.Equal(t, want, consumers[filter].told(), filter)
	}
	require.ElementsMatch(t, []string{"x STATE_CHANGED SUSPENDED", "y STATE_CHANGED SUSPENDED"}, consumers[`{"states":["SUSPENDED"]}`].told())
}

func TestAnUpdateIsToldByWhatItChanged(t *testing.T) {
	s, c := start(t, fast...), newConsumer(t)
	s.subscribe("watcher", c.URL, "")
	v := s.register("p", "x", -1)
	body := info("x", -1)
	s.want(200, "PUT", v.location, body) // says nothing new
	s.want(200, "PUT", v.location, strings.Replace(body, "ACTIVE", "INACTIVE", 1))
	s.want(200, "PUT", v.location, body)
	s.want(200, "PUT", v.location, strings.Replace(body, "1.2.3", "1.2.4", 1))
	s.want(200, "PUT", v.location, strings.NewReplacer("1.2.3", "1.2.5", "ACTIVE", "INACTIVE").Replace(body))
	s.want(204, "DELETE", v.location, "")
	want := []string{"x ADDED ACTIVE", "x STATE_CHANGED INACTIVE", "x STATE_CHANGED ACTIVE", "x ATTRIBUTES_CHANGED ACTIVE", "x ATTRIBUTES_CHANGED INACTIVE", "x REMOVED INACTIVE"}
	eventually(t, "told", func() bool { return len(c.told()) >= len(want) })
	require.Equal(t, want, c.told())
}

// The suspended are removed when their time is over, told of, and gone from the
// ServiceComb side too.
func TestTheSuspendedAreRemovedInTheEnd(t *testing.T) {
	t.Parallel()
	s, c := start(t, append(fast, "MEP_LIVENESS_DEREGISTER_AFTER=3s")...), newConsumer(t)
	s.subscribe("watcher", c.URL, "")
	dead, quiet := s.register("p", "dead", 1), s.register("p", "quiet", -1)
	var suspended time.Time
	eventually(t, "removed", func() bool {
		if suspended.IsZero() && len(c.told()) == 3 {
			suspended = c.receipts()[len(c.receipts())-1].at
		}
		return s.do("GET", dead.location, "").status == 404
	})
	require.GreaterOrEqual(t, time.Since(suspended), 2500*time.Millisecond)
	eventually(t, "told", func() bool { return len(c.told()) == 4 })
	require.Equal(t, "dead STATE_CHANGED SUSPENDED", c.told()[2])
	require.Equal(t, "dead REMOVED SUSPENDED", c.told()[3])
	eventually(t, "gone from service-center", func() bool { return dead.instance() == nil && len(microservices(s)) == 1 })
	s.want(404, "PATCH", dead.liveness, alive)
	require.Equal(t, "ACTIVE", quiet.state(), "who need not beat is not removed")
}

// Whenever the platform is killed, a change that it acknowledged is told; what is told
// twice carries the same webhook-id, and what is told first comes in order.
func TestKillLosesNoNotification(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s, c := start(t, fast...), newConsumer(t)
	s.subscribe("watcher", c.URL, "")
	var mu sync.Mutex
	acked := map[string][]string{} // by service, in order
	services := map[string]*service{}
	for i := range 8 {
		v := s.register("p", fmt.Sprint("s", i), -1)
		services[v.id], acked[v.id] = v, []string{"ADDED"}
	}
	const kills = 8
	for k := range kills {
		if k%3 == 2 {
			c.answer(http.StatusServiceUnavailable)
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
					r, err := s.try("POST", base+"/applications/p/services", info("temp", -1))
					if err != nil || r.status != 201 {
						continue
					}
					id := r.json(t)["serInstanceId"].(string)
					mu.Lock()
					acked[id] = append(acked[id], "ADDED")
					mu.Unlock()
					if r, err := s.try("DELETE", r.header.Get("Location"), ""); err == nil && r.status == 204 {
						mu.Lock()
						acked[id] = append(acked[id], "REMOVED")
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(time.Duration(100+rnd.IntN(700)) * time.Millisecond)
		s.kill()
		close(end)
		wg.Wait()
		c.answer(0)
		s.launch()
	}
	first := map[string]int{} // place of the first receipt of each service and change
	ids := map[string]string{}
	check := func() bool {
		clear(first)
		clear(ids)
		for i, n := range c.receipts() {
			b, err := json.Marshal(n.body)
			require.NoError(t, err)
			content := string(b)
			if before, ok := ids[n.id]; ok {
				require.Equal(t, before, content, "webhook-id %s with other content", n.id)
			}
			ids[n.id] = content
			for j, r := range n.body.ServiceReferences {
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
	eventually(t, "everything acknowledged is told", check)
	again := len(c.receipts()) - len(ids)
	for id, changes := range acked {
		if len(changes) == 2 {
			require.Less(t, first[id+"ADDED"], first[id+"REMOVED"], "out of order")
		}
	}
	t.Logf("%d kills, %d services changed, %d notifications, of them %d repeated, 0 lost, 0 out of order", kills, len(acked), len(c.receipts()), again)
}

// The worst moments to die: with the change committed and nobody told, while the
// subscriber has the notification but not answered, and when it has just answered.
func TestKillAroundANotificationLosesAndReordersNothing(t *testing.T) {
	s, c := start(t, fast...), newConsumer(t)
	s.subscribe("watcher", c.URL, "")
	killed := make(chan struct{}, 1)
	register := func(hook *func(), name string) {
		c.mu.Lock()
		c.about = name // not one that is sent again, which may come before the service is registered
		*hook = func() { s.kill(); killed <- struct{}{} }
		c.mu.Unlock()
		_, _ = s.try("POST", base+"/applications/p/services", info(name, -1))
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
			c.answer(http.StatusServiceUnavailable)
			s.register("p", name, -1)
			s.kill()
			c.answer(0)
		case 1:
			register(&c.before, name)
		case 2:
			register(&c.after, name)
		}
		s.launch()
	}
	var first []string
	eventually(t, "all told", func() bool {
		first = nil
		seen := map[string]bool{}
		for _, line := range c.told() {
			if !seen[line] {
				seen[line] = true
				first = append(first, line)
			}
		}
		return len(first) == len(want)
	})
	require.Equal(t, want, first)
	ids := map[string]string{}
	for _, n := range c.receipts() {
		for _, r := range n.body.ServiceReferences {
			if id, again := ids[r.SerName]; again {
				require.Equal(t, id, n.id, "a repetition carries the same webhook-id")
			}
			ids[r.SerName] = n.id
		}
	}
	t.Logf("12 kills around a notification: 0 lost, 0 out of order, %d repeated under the same id", len(c.receipts())-len(want))
}
