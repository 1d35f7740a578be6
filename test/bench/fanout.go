package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// fanout lets one service change its state, and shows when each of many subscribers
// was told. Receiver and platform share the machine.
func fanout(ctx context.Context, subscribers, rounds int) error {
	s, stop, err := start(ctx, "MEP_LIMITS_WRITES_PER_SECOND=0", "MEP_LIMITS_BYTES_PER_SECOND=0", "MEP_APPLICATIONS_MAX_SUBSCRIPTIONS=1000000", "MEP_APPLICATIONS_MAX_SERVICES=1000000")
	if err != nil {
		return err
	}
	defer stop()
	in, err := listen(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	var made []time.Duration
	for i := range subscribers {
		at := time.Now()
		status, b, err := s.do(ctx, "POST", fmt.Sprintf("%s/applications/consumer%d/subscriptions", base, i), fmt.Sprintf(
			`{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"%s/%d"}`, in.url, i))
		if err != nil || status != http.StatusCreated {
			return fmt.Errorf("subscribe: %d %s %w", status, b, err)
		}
		made = append(made, time.Since(at))
	}
	spread(fmt.Sprintf("subscribe, %d times", subscribers), made)
	for range rounds {
		in.expect(subscribers)
		at := time.Now()
		if _, _, err := s.register(ctx, "producer", "x", 300); err != nil {
			return err
		}
		acked := time.Since(at)
		got := in.wait(ctx, time.Minute)
		for i := range got {
			got[i] -= acked // what was told before the producer had its answer counts as 0
			got[i] = max(got[i], 0)
		}
		spread(fmt.Sprintf("acknowledged to told, %d of %d", len(got), subscribers), got)
		if len(got) < subscribers {
			return fmt.Errorf("%d of %d were not told", subscribers-len(got), subscribers)
		}
		time.Sleep(time.Second)
	}
	return nil
}

// inbox receives notifications.
type inbox struct {
	url  string
	srv  *http.Server
	mu   sync.Mutex
	from time.Time
	most int
	got  map[string]time.Duration // by path
	full chan struct{}
}

func listen(ctx context.Context) (*inbox, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	in := &inbox{url: "http://" + l.Addr().String()}
	in.srv = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(in.receive)}
	go func() { _ = in.srv.Serve(l) }()
	return in, nil
}

func (in *inbox) close() { _ = in.srv.Close() }

func (in *inbox) receive(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	b, err := io.ReadAll(r.Body)
	var n mp1.Notification
	if err != nil || json.Unmarshal(b, &n) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, again := in.got[r.URL.Path]; again || in.got == nil {
		return
	}
	in.got[r.URL.Path] = now.Sub(in.from)
	if len(in.got) == in.most {
		close(in.full)
	}
}

// expect starts a measurement of so many subscribers.
func (in *inbox) expect(n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.from, in.most, in.got, in.full = time.Now(), n, map[string]time.Duration{}, make(chan struct{})
}

// wait ends the measurement when all were told, or after d.
func (in *inbox) wait(ctx context.Context, d time.Duration) (out []time.Duration) {
	select {
	case <-in.full:
	case <-time.After(d):
	case <-ctx.Done():
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, at := range in.got {
		out = append(out, at)
	}
	in.got = nil
	return out
}
