package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
)

// settled is how long is waited until whatever an event leads to is done.
const settled = 12 * time.Second

// subscriptions shows what an event costs the more of others' subscriptions there are:
// writes to the store, and processor time, first with none, then with many that it does
// not match, then with ten that it does.
func subscriptions(ctx context.Context, subscribers, events int) error {
	s, stop, err := start(ctx, "MEP_LIMITS_WRITES_PER_SECOND=0", "MEP_LIMITS_BYTES_PER_SECOND=0", "MEP_APPLICATIONS_MAX_SUBSCRIPTIONS=1000000", "MEP_APPLICATIONS_MAX_SERVICES=1000000")
	if err != nil {
		return err
	}
	defer stop()
	in := listen()
	defer in.Close()
	if _, err := s.TryRegister("producer", "ten", 300); err != nil { // so that its microservice is there
		return err
	}
	if err := costs(s, "no subscription", "x", events, 0); err != nil {
		return err
	}
	filters := []string{`"serNames":["name%d"]`, `"serInstanceIds":["id%d"]`, `"serCategories":[{"href":"h","id":"%d","name":"n","version":"v"}]`, `"serNames":["x","%d"],"states":["INACTIVE"]`, `"serNames":["y%d"],"isLocal":true`}
	for i := range subscribers {
		if err := subscribe(s, in.URL, i, fmt.Sprintf(filters[i%len(filters)], i)); err != nil {
			return err
		}
	}
	if err := costs(s, fmt.Sprintf("%d subscriptions, none matches", subscribers), "x", events, 0); err != nil {
		return err
	}
	for i := range 10 {
		if err := subscribe(s, in.URL, subscribers+i, `"serNames":["ten"]`); err != nil {
			return err
		}
	}
	in.expect(10)
	const alone = 500 * time.Millisecond // so that no two of them go together
	if err := costs(s, "the same, events that match ten", "ten", 20, alone); err != nil {
		return err
	}
	if n := len(in.wait(ctx, time.Minute)); n != 10 {
		return fmt.Errorf("%d of 10 were told", n)
	}
	return nil
}

func subscribe(s *mep.Server, to string, n int, criteria string) error {
	_, err := s.TrySubscribe(fmt.Sprint("consumer", n), fmt.Sprint(to, "/", n), "{"+criteria+"}")
	return err
}

// costs registers services of a name, and prints what each of them cost.
func costs(s *mep.Server, what, name string, events int, pause time.Duration) error {
	time.Sleep(settled) // what was done before
	idle := s.CPU()
	time.Sleep(settled)
	idle = s.CPU() - idle
	before, err := puts(s)
	if err != nil {
		return err
	}
	used, began := s.CPU(), time.Now()
	for range events {
		if _, err := s.TryRegister("producer", name, 300); err != nil {
			return err
		}
		time.Sleep(pause)
	}
	time.Sleep(settled)
	used = s.CPU() - used - idle*time.Since(began)/settled
	after, err := puts(s)
	fmt.Printf("%-40s n=%d: %.2f puts and %v of processor time for one; without: %v a second\n", what, events, float64(after-before)/float64(events),
		(used / time.Duration(events)).Round(10*time.Microsecond), (idle / (settled / time.Second)).Round(100*time.Microsecond))
	return err
}

// puts is how many keys were written to the embedded store.
func puts(s *mep.Server) (int64, error) {
	n, ok := s.TryMetric("etcd_mvcc_put_total")
	if !ok {
		return 0, errors.New("/metrics does not say how many keys were written")
	}
	return int64(n), nil
}
