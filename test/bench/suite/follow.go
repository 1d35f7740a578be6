package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/test/bench/load"
	"github.com/mec-liveness/mepserver/test/mep"
)

// follow has services that leave their interval to the platform become many times as many, and go
// again. The few send half of the bound at first; a fifth of the bound comes, or goes, a second.
func follow(ctx context.Context, l *lab, s *site) ([]figure, error) {
	least := l.size.followEvery
	few, many, bound := l.size.follow, l.size.follow*l.size.followTimes, 2*l.size.follow/int(least.Seconds())
	each := max(bound/l.size.followShare, 1)
	srv, err := l.launch(s, "follow", nil, "MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_DEFAULT_INTERVAL="+least.String(), fmt.Sprintf("MEP_LIVENESS_MAX_BEATS_PER_SECOND=%d", bound))
	if err != nil {
		return nil, err
	}
	defer srv.Kill()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c := newCrowd(l, srv, 4*l.size.conns)
	ended := c.run(ctx)
	defer l.ticker(func() { l.say("%s", c) })()
	if err := c.grow(ctx, few, each); err != nil {
		return nil, err
	}
	l.say("%d services send %d heartbeats a second; the bound is %d", few, few/int(least.Seconds()), bound)
	pause(ctx, 2*least)
	if err := c.grow(ctx, many, each); err != nil {
		return nil, err
	}
	l.say("all have come")
	pause(ctx, 2*c.longest())
	if err := c.shrink(ctx, few, each); err != nil {
		return nil, err
	}
	l.say("all but %d have gone", few)
	settled := c.settle(ctx, least)
	stop()
	<-ended
	return c.figures(bound, least, settled)
}

// figures says what became of the run; an error if a promise was broken.
func (c *crowd) figures(bound int, least time.Duration, settled bool) ([]figure, error) {
	window := max(int(least.Seconds()), 5) // in a second of few services chance alone would go over the bound
	most := float64(c.mostIn(window)) / float64(window*bound)
	c.l.keepHist("heartbeats of services whose interval follows the load", c.took)
	claims, _ := c.srv.TryMetric(`mep_transactions_total{kind="CLAIM"}`)
	f := figure{value: most, load: (load.OwnCPU() - c.used).Seconds() / time.Since(c.began).Seconds(), more: fmt.Sprintf(
		"bound %d/s; most in any %d s %.0f/s, in any second %d; intervals %v to %v; %d heartbeats, %s; %d changes told, %d of them again; %.0f SUSPENDED",
		bound, window, most*float64(bound), c.mostIn(1), least, c.longest(), c.took.N(), percentiles(c.took), c.told, c.again, claims) + c.srv.disturbed()}
	if slowest := c.took.Max(); slowest > least/10 || c.lost > 0 { // then a pace shows less than it should
		f.more += fmt.Sprintf("; **not judged**: a heartbeat was answered %v after it was due, one was sent %v after that, and of registrations and deregistrations %d failed", slowest, c.late.Max(), c.lost)
		return []figure{f}, nil
	}
	switch {
	case claims > 0:
		return []figure{f}, fmt.Errorf("%.0f living services were SUSPENDED", claims)
	case c.again > 0:
		return []figure{f}, fmt.Errorf("%d changes were told again", c.again)
	case c.failed > 0:
		return []figure{f}, fmt.Errorf("%d heartbeats failed, the first with: %w", c.failed, c.err)
	case !settled:
		return []figure{f}, fmt.Errorf("not all have an interval of %v again", least)
	case c.told == 0 || most > 1:
		return []figure{f}, fmt.Errorf("%d changes were told, and %.0f heartbeats a second came; the bound is %d", c.told, most*float64(bound), bound)
	}
	return []figure{f}, nil
}

// grow registers services, so many a second, until there are n.
func (c *crowd) grow(ctx context.Context, n, each int) error {
	return everySecond(ctx, func() (bool, error) {
		some := min(each, n-len(c.srv.services))
		if some <= 0 {
			return false, nil
		}
		added, res := c.l.add(ctx, c.srv, some, 0, "")
		if res.N == 0 {
			return false, res.Check()
		}
		added = slices.DeleteFunc(added, func(v *service) bool { return v.id == "" })
		c.lost += res.Failed
		c.srv.services = append(c.srv.services, added...)
		c.join(added)
		return true, nil
	})
}

// shrink deregisters services, so many a second, until n are left.
func (c *crowd) shrink(ctx context.Context, n, each int) error {
	return everySecond(ctx, func() (bool, error) {
		some := min(each, len(c.srv.services)-n)
		if some <= 0 {
			return false, nil
		}
		kept := len(c.srv.services) - some
		gone := c.srv.services[kept:]
		c.srv.services = c.srv.services[:kept]
		c.leave(gone)
		if err := c.l.remove(ctx, c.srv, gone); err != nil {
			c.lost += some
		}
		return true, ctx.Err()
	})
}

func everySecond(ctx context.Context, f func() (goOn bool, err error)) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		if goOn, err := f(); err != nil || !goOn {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// settle waits until all keep the least interval; false: some did not come to that.
func (c *crowd) settle(ctx context.Context, least time.Duration) bool {
	for end := time.Now().Add(3 * c.longest()); ctx.Err() == nil && time.Now().Before(end); pause(ctx, time.Second) {
		if all := c.intervals(); len(all) == 1 && all[0] == least {
			pause(ctx, 3*least) // nobody is told anything any more
			return true
		}
	}
	return false
}

// mostIn is how many heartbeats were sent in so many seconds at most.
func (c *crowd) mostIn(seconds int) (most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := 0
	for i, n := range c.sent {
		sum += n
		if i >= seconds {
			sum -= c.sent[i-seconds]
		}
		most = max(most, sum)
	}
	return most
}

// intervals are those that somebody keeps.
func (c *crowd) intervals() (out []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for m := range c.members {
		if !slices.Contains(out, m.interval) {
			out = append(out, m.interval)
		}
	}
	slices.Sort(out)
	return out
}

func (c *crowd) longest() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

// beat sends the heartbeat of a member, and returns the interval that it is told; 0: none.
func (m *member) beat(ctx context.Context, conn load.Conn) (told time.Duration, err error) {
	a, err := conn.Do(ctx, load.Request{Method: http.MethodPatch, Path: m.path, Body: mep.Alive, Keep: true})
	switch {
	case err != nil:
		return 0, err
	case a.Status == http.StatusNoContent:
		return 0, nil
	case a.Status != http.StatusOK:
		return 0, fmt.Errorf("a heartbeat was answered %d", a.Status)
	}
	var info struct{ Interval int }
	if err := json.Unmarshal(a.Body, &info); err != nil || info.Interval <= 0 {
		return 0, fmt.Errorf("a heartbeat was answered 200 without an interval: %.100s", a.Body)
	}
	return time.Duration(info.Interval) * time.Second, nil
}
