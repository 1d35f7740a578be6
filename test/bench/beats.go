package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
)

// beats compares heartbeats a second with what a bare net/http handler does with the same
// request over the same transport, turn by turn in one run: the client and all servers
// share the machine, so only the ratio says something. Each server is a process of its own.
// over names the comparisons: plain, tls (which knows no callers) and jwt (TLS, and a bearer
// token in each heartbeat). earlier is the path of another mepserver, which is measured over
// plain HTTP before this one; "": none is.
func beats(ctx context.Context, endpoints, earlier string, over []string, services, conns, rounds int, d time.Duration) error {
	remove, err := build()
	if err != nil {
		return err
	}
	defer remove()
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ids, err := makeIdentities(dir, conns)
	if err != nil {
		return err
	}
	plain, secure, bare, err := launchBare(ids)
	if err != nil {
		return err
	}
	defer bare.Kill()
	var all []*contender
	if earlier != "" {
		over = append([]string{"earlier"}, over...)
	}
	for _, kind := range over {
		binary, name, scheme, env, token, than := mep.Binary(), "mepserver", "http", []string(nil), (func(string) (string, error))(nil), plain
		switch kind {
		case "plain":
		case "earlier":
			binary, name = earlier, "mepserver, earlier"
		case "tls":
			name, scheme, env, than = "mepserver, TLS", "https", ids.tls(), secure
		case "jwt":
			name, scheme, env, token, than = "mepserver, TLS, JWT", "https", ids.jwt(), ids.token, secure
		default:
			return fmt.Errorf("-over has %q, which is none of plain, tls and jwt", kind)
		}
		if endpoints != "" {
			env = append(env, "MEP_STORE_KIND=etcd", "MEP_STORE_ENDPOINTS="+endpoints)
		}
		c, p, err := launch(ids, binary, name, scheme, env)
		if err != nil {
			return err
		}
		defer p.Kill()
		if err := c.register(ctx, services, token); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		c.bare, than.beats = than, c.beats
		all = append(all, c)
	}
	fmt.Printf("%d services, %d connections, %d rounds of %v each\n", services, conns, rounds, d)
	return compare(ctx, []*contender{plain, secure}, all, conns, rounds, d)
}

// compare measures all of them in turn, round after round, and prints the ratios.
func compare(ctx context.Context, bare, all []*contender, conns, rounds int, d time.Duration) error {
	for round := range rounds {
		for _, c := range bare {
			if len(c.beats) > 0 {
				if err := c.measure(ctx, conns, d); err != nil {
					return err
				}
			}
		}
		for i := range all { // each is the last in its turn: what else the machine does may come and go
			if err := all[(round+i)%len(all)].measure(ctx, conns, d); err != nil {
				return err
			}
		}
	}
	for _, c := range all {
		fmt.Printf("%s: heartbeats a second, of %s, each round: %.2f\n", c.name, c.bare.name, c.ratios)
		fmt.Printf("%s: processor time of the server for one, of %s's, each round: %.2f\n", c.name, c.bare.name, c.costs)
	}
	return nil
}

// measure loads the server and prints how many heartbeats a second it answered, and the
// processor time that it took for one. The latter hardly depends on what else the machine
// does.
func (c *contender) measure(ctx context.Context, conns int, d time.Duration) error {
	before := c.cpu()
	perSecond, lat, err := c.load(ctx, conns, d)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	c.cost = (c.cpu() - before) / time.Duration(len(lat))
	fmt.Printf("%-20s %8.0f/s, %v of processor time for one\n", c.name, perSecond, c.cost.Round(100*time.Nanosecond))
	spread("  latency", lat)
	c.perSecond = append(c.perSecond, perSecond)
	if b := c.bare; b != nil {
		c.ratios = append(c.ratios, perSecond/b.perSecond[len(b.perSecond)-1])
		if b.cost > 0 {
			c.costs = append(c.costs, float64(c.cost)/float64(b.cost))
		}
	}
	return nil
}

// load sends heartbeats over conns connections for d.
func (c *contender) load(ctx context.Context, conns int, d time.Duration) (perSecond float64, lat []time.Duration, err error) {
	defer c.client.CloseIdleConnections()
	var wg sync.WaitGroup
	var n, bad atomic.Int64
	lats := make([][]time.Duration, conns)
	began := time.Now()
	for k := range conns {
		wg.Go(func() {
			for i := k; time.Since(began) < d && ctx.Err() == nil; i += conns {
				at, b := time.Now(), c.beats[i%len(c.beats)]
				res, err := c.send(ctx, http.MethodPatch, b.path, mep.Alive, b.authorization)
				if err != nil {
					bad.Add(1)
					continue
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusNoContent {
					bad.Add(1)
					continue
				}
				n.Add(1)
				lats[k] = append(lats[k], time.Since(at))
			}
		})
	}
	wg.Wait()
	if bad.Load() > 0 {
		return 0, nil, fmt.Errorf("%d of %d heartbeats were not answered 204", bad.Load(), bad.Load()+n.Load())
	}
	for _, l := range lats {
		lat = append(lat, l...)
	}
	if len(lat) == 0 {
		return 0, nil, errors.New("no heartbeat was answered")
	}
	return float64(n.Load()) / time.Since(began).Seconds(), lat, nil
}
