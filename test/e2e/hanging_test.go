package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/tier"
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
func beatsOnNewConnections(v *service, lasting time.Duration) (took []time.Duration, failed []string) {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(lasting); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		r, _ := http.NewRequest(http.MethodPatch, v.s.url+v.liveness, strings.NewReader(alive))
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

// files is how many descriptors the server has open.
func (s *server) files() int {
	all, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	return len(all)
}

// With 600 file descriptors and 800 consumers that hang, heartbeats on new connections
// are answered, as many POSTs are in flight as there are places, and a consumer that
// answers is told of everything.
func TestHangingConsumersLeaveDescriptorsToHeartbeats(t *testing.T) {
	tier.Long(t, "test/e2e", "lets 800 consumers hang for half a minute")
	script := filepath.Join(t.TempDir(), "mepserver")
	require.NoError(t, os.WriteFile(script, []byte(fmt.Sprintf("#!/bin/sh\nulimit -n 600\nexec '%s' \"$@\"\n", binary)), 0o755)) //nolint:gosec // it is run
	s := &server{t: t, dir: t.TempDir(), http: newClient(), bin: script, env: []string{"MEP_LIMITS_WRITES_PER_SECOND=0"}}
	s.launch()
	t.Cleanup(s.kill)
	v := s.register("beating", "living", 10)
	quiet, failed := beatsOnNewConnections(v, 5*time.Second)
	require.Empty(t, failed)

	good := newConsumer(t)
	s.subscribe("good", good.URL, "")
	var hosts []string
	for i := range 800 {
		if i%50 == 0 {
			hosts = append(hosts, hanging(t))
		}
		s.subscribe(fmt.Sprint("app", i%8), fmt.Sprint(hosts[len(hosts)-1], "/", i), "")
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
			most = max(most, s.files())
			if n%10 == 0 {
				s.register("changes", fmt.Sprint("change", n), -1)
				changes++
				inFlight = max(inFlight, s.metric("mep_notification_posts_in_flight"))
			}
		}
	}()
	loaded, failed := beatsOnNewConnections(v, 25*time.Second)
	close(ended)
	<-done
	t.Logf("600 descriptors, 800 hanging consumers: %d heartbeats on new connections, %d failed, p99 %s (quiet: %s, ratio %.1f), most %s; at most %d descriptors open, %d POSTs in flight of %d",
		len(loaded)+len(failed), len(failed), p99(loaded), p99(quiet), float64(p99(loaded))/float64(p99(quiet)), loaded[len(loaded)-1], most, inFlight, s.metric("mep_notification_posts_limit"))
	require.Empty(t, failed)
	require.Less(t, most, 600)
	require.Positive(t, inFlight)
	require.LessOrEqual(t, inFlight, s.metric("mep_notification_posts_limit"))
	require.NotContains(t, s.log.String(), "too many open files")
	eventually(t, "told of every change", func() bool { return len(good.told()) >= changes })
}

// An application with 70 subscriptions whose consumers hang is removed in the time of
// one, which is printed beside that of another application meanwhile; no POST is sent
// after the answer.
func TestAnApplicationOfHangingConsumersIsRemoved(t *testing.T) {
	tier.Long(t, "test/e2e", "waits for consumers that hang")
	s := start(t, "MEP_LIMITS_WRITES_PER_SECOND=0")
	at := hanging(t)
	location := s.want(201, "POST", registrations, appInfo("many")).header.Get("Location")
	other := s.want(201, "POST", registrations, appInfo("one")).header.Get("Location")
	for i := range 70 {
		s.subscribe("many", fmt.Sprint(at, "/", i), "")
	}
	s.register("p", "x", -1)
	eventually(t, "70 in flight", func() bool { return s.metric("mep_notification_posts_in_flight") == 70 })
	began, meanwhile := time.Now(), make(chan time.Duration, 1)
	go func() {
		time.Sleep(50 * time.Millisecond)
		at := time.Now()
		r, err := s.try("DELETE", other, "")
		if err != nil || r.status != 204 {
			t.Errorf("the other application: %v %d", err, r.status)
		}
		meanwhile <- time.Since(at)
	}()
	s.want(204, "DELETE", location, "")
	took := time.Since(began)
	require.Zero(t, s.metric("mep_notification_posts_in_flight"))
	require.Zero(t, s.metric("mep_subscriptions"))
	t.Logf("70 hanging consumers: removed in %s; another application meanwhile in %s", took, <-meanwhile)
}
