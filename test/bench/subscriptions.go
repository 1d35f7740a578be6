package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
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
	in, err := listen(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	if _, _, err := s.register(ctx, "producer", "ten", 300); err != nil { // so that its microservice is there
		return err
	}
	if err := s.costs(ctx, "no subscription", "x", events, 0); err != nil {
		return err
	}
	filters := []string{`"serNames":["name%d"]`, `"serInstanceIds":["id%d"]`, `"serCategories":[{"href":"h","id":"%d","name":"n","version":"v"}]`, `"serNames":["x","%d"],"states":["INACTIVE"]`, `"serNames":["y%d"],"isLocal":true`}
	for i := range subscribers {
		if err := s.subscribe(ctx, in.url, i, fmt.Sprintf(filters[i%len(filters)], i)); err != nil {
			return err
		}
	}
	if err := s.costs(ctx, fmt.Sprintf("%d subscriptions, none matches", subscribers), "x", events, 0); err != nil {
		return err
	}
	for i := range 10 {
		if err := s.subscribe(ctx, in.url, subscribers+i, `"serNames":["ten"]`); err != nil {
			return err
		}
	}
	in.expect(10)
	const alone = 500 * time.Millisecond // so that no two of them go together
	if err := s.costs(ctx, "the same, events that match ten", "ten", 20, alone); err != nil {
		return err
	}
	if n := len(in.wait(ctx, time.Minute)); n != 10 {
		return fmt.Errorf("%d of 10 were told", n)
	}
	return nil
}

func (s *server) subscribe(ctx context.Context, to string, n int, criteria string) error {
	status, b, err := s.do(ctx, "POST", fmt.Sprintf("%s/applications/consumer%d/subscriptions", base, n), fmt.Sprintf(
		`{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"%s/%d","filteringCriteria":{%s}}`, to, n, criteria))
	if err != nil || status != http.StatusCreated {
		return fmt.Errorf("subscribe: %d %s %w", status, b, err)
	}
	return nil
}

// costs registers services of a name, and prints what each of them cost.
func (s *server) costs(ctx context.Context, what, name string, events int, pause time.Duration) error {
	time.Sleep(settled) // what was done before
	idle := s.cpu()
	time.Sleep(settled)
	idle = s.cpu() - idle
	puts, err := s.puts(ctx)
	if err != nil {
		return err
	}
	used, began := s.cpu(), time.Now()
	for range events {
		if _, _, err := s.register(ctx, "producer", name, 300); err != nil {
			return err
		}
		time.Sleep(pause)
	}
	time.Sleep(settled)
	used = s.cpu() - used - idle*time.Since(began)/settled
	after, err := s.puts(ctx)
	fmt.Printf("%-40s n=%d: %.2f puts and %v of processor time for one; without: %v a second\n", what, events, float64(after-puts)/float64(events),
		(used / time.Duration(events)).Round(10*time.Microsecond), (idle / (settled / time.Second)).Round(100*time.Microsecond))
	return err
}

// puts is how many keys were written to the embedded store.
func (s *server) puts(ctx context.Context) (int64, error) {
	_, b, err := s.do(ctx, "GET", "/metrics", "")
	for line := range bytes.Lines(b) {
		if value, is := strings.CutPrefix(string(line), "etcd_mvcc_put_total "); is {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return int64(n), err
		}
	}
	return 0, fmt.Errorf("/metrics does not say how many keys were written: %w", err)
}
