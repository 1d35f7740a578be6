package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/test/consumer"
)

// fanout lets one service change its state, and shows when each of many subscribers
// was told. Receiver and platform share the machine.
func fanout(ctx context.Context, subscribers, rounds int) error {
	s, stop, err := start(ctx, "MEP_LIMITS_WRITES_PER_SECOND=0", "MEP_LIMITS_BYTES_PER_SECOND=0", "MEP_APPLICATIONS_MAX_SUBSCRIPTIONS=1000000", "MEP_APPLICATIONS_MAX_SERVICES=1000000")
	if err != nil {
		return err
	}
	defer stop()
	in := listen()
	defer in.Close()
	var made []time.Duration
	for i := range subscribers {
		at := time.Now()
		if _, err := s.TrySubscribe(fmt.Sprint("consumer", i), fmt.Sprint(in.URL, "/", i), ""); err != nil {
			return err
		}
		made = append(made, time.Since(at))
	}
	spread(fmt.Sprintf("subscribe, %d times", subscribers), made)
	for range rounds {
		in.expect(subscribers)
		at := time.Now()
		if _, err := s.TryRegister("producer", "x", 300); err != nil {
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
	*httptest.Server
	mu   sync.Mutex
	from time.Time
	most int
	got  map[string]time.Duration // by path
	full chan struct{}
}

func listen() *inbox {
	in := &inbox{}
	in.Server = httptest.NewServer(consumer.Handler(in.receive))
	return in
}

func (in *inbox) receive(n consumer.Receipt) (status int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, repeated := in.got[n.Path]; !repeated && in.got != nil {
		in.got[n.Path] = n.At.Sub(in.from)
		if len(in.got) == in.most {
			close(in.full)
		}
	}
	return http.StatusNoContent
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
