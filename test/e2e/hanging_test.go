package e2e

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// hanging takes connections and never answers.
func hanging(t *testing.T) string {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return "http://" + l.Addr().String()
}

// beatsOnNewConnections sends heartbeats one after the other, each on a connection of its own.
func beatsOnNewConnections(v *mep.Service, lasting time.Duration) (took []time.Duration, failed []string) {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(lasting); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		r, _ := http.NewRequest(http.MethodPatch, v.Server.URL+v.Liveness, strings.NewReader(mep.Alive))
		at := time.Now()
		res, err := client.Do(r)
		switch {
		case err != nil:
			failed = append(failed, err.Error())
			continue
		case res.StatusCode != 204 && res.StatusCode != 200:
			failed = append(failed, res.Status)
		}
		took = append(took, time.Since(at))
		_ = res.Body.Close()
	}
	slices.Sort(took)
	return took, failed
}

func p99(sorted []time.Duration) time.Duration { return sorted[len(sorted)*99/100] }

// With 600 file descriptors and 800 consumers that hang, heartbeats on new connections
// are answered, as many POSTs are in flight as there are places, and a consumer that
// answers is told of everything.
func TestHangingConsumersLeaveDescriptorsToHeartbeats(t *testing.T) {
	tier.Long(t, "test/e2e", "lets 800 consumers hang for half a minute")
	s := mep.Options{Binary: mep.Limited(t, "ulimit -n 600"), Env: []string{"MEP_LIMITS_WRITES_PER_SECOND=0"}}.Start(t)
	v := s.Register("beating", "living", 10)
	quiet, failed := beatsOnNewConnections(v, 5*time.Second)
	require.Empty(t, failed)

	good := consumer.Start(t)
	s.Subscribe("good", good.URL, "")
	var hosts []string
	for i := range 800 {
		if i%50 == 0 {
			hosts = append(hosts, hanging(t))
		}
		s.Subscribe(fmt.Sprint("app", i%8), fmt.Sprint(hosts[len(hosts)-1], "/", i), "")
	}
	ended, most, inFlight, changes := make(chan struct{}), 0, 0, 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			select {
			case <-ended:
				return
			case <-time.After(100 * time.Millisecond):
			}
			most = max(most, s.OpenFiles())
			if n%10 == 0 {
				s.Register("changes", fmt.Sprint("change", n), -1)
				changes++
				inFlight = max(inFlight, s.Metric("mep_notification_posts_in_flight"))
			}
		}
	}()
	loaded, failed := beatsOnNewConnections(v, 25*time.Second)
	close(ended)
	<-done
	t.Logf("600 descriptors, 800 hanging consumers: %d heartbeats on new connections, %d failed, p99 %s (quiet: %s, ratio %.1f), most %s; at most %d descriptors open, %d POSTs in flight of %d",
		len(loaded)+len(failed), len(failed), p99(loaded), p99(quiet), float64(p99(loaded))/float64(p99(quiet)), loaded[len(loaded)-1], most, inFlight, s.Metric("mep_notification_posts_limit"))
	require.Empty(t, failed)
	require.Less(t, most, 600)
	require.Positive(t, inFlight)
	require.LessOrEqual(t, inFlight, s.Metric("mep_notification_posts_limit"))
	require.NotContains(t, s.Log(), "too many open files")
	wait.Until(t, "told of every change", func() bool { return len(good.Changes()) >= changes })
}

// An application with 70 subscriptions whose consumers hang is removed in the time of
// one, which is printed beside that of another application meanwhile; no POST is sent
// after the answer.
func TestAnApplicationOfHangingConsumersIsRemoved(t *testing.T) {
	tier.Long(t, "test/e2e", "waits for consumers that hang")
	s := mep.Start(t, "MEP_LIMITS_WRITES_PER_SECOND=0")
	at := hanging(t)
	location := s.Want(201, "POST", registrations, appInfo("many")).Header.Get("Location")
	other := s.Want(201, "POST", registrations, appInfo("one")).Header.Get("Location")
	for i := range 70 {
		s.Subscribe("many", fmt.Sprint(at, "/", i), "")
	}
	s.Register("p", "x", -1)
	wait.Until(t, "70 in flight", func() bool { return s.Metric("mep_notification_posts_in_flight") == 70 })
	began, meanwhile := time.Now(), make(chan time.Duration, 1)
	go func() {
		time.Sleep(50 * time.Millisecond)
		at := time.Now()
		r, err := s.Try("DELETE", other, "")
		if err != nil || r.Status != 204 {
			t.Errorf("the other application: %v %d", err, r.Status)
		}
		meanwhile <- time.Since(at)
	}()
	s.Want(204, "DELETE", location, "")
	took := time.Since(began)
	require.Zero(t, s.Metric("mep_notification_posts_in_flight"))
	require.Zero(t, s.Metric("mep_subscriptions"))
	t.Logf("70 hanging consumers: removed in %s; another application meanwhile in %s", took, <-meanwhile)
}
