package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
)

const (
	greedyServices = 2000
	greedyConns    = 32
	// floodNice has the flood's own work, which on a real one's machine costs the server's
	// nothing, done when nobody else wants the processors.
	floodNice = "19"
)

// greedy compares what heartbeats over TLS with tokens take with and without one identity that
// floods the server, in each of the ways of floodKinds. The flood comes from a process of its
// own, so that the clients of the heartbeats share no queue with it but the processors'. What
// it costs by itself is shown by the same flood of a bare server, which answers at once and is
// asked more often for that.
func greedy(ctx context.Context, kinds []string, rounds int, d time.Duration) error {
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
	ids, err := makeIdentities(dir, 256)
	if err != nil {
		return err
	}
	env := append(ids.jwt(), "MEP_AUDIT_FILE="+dir+"/audit.log")
	c, p, err := launch(ids, mep.Binary(), "mepserver, TLS, JWT", "https", env)
	if err != nil {
		return err
	}
	defer p.Kill()
	_, bare, other, err := launchBare(ids)
	if err != nil {
		return err
	}
	defer other.Kill()
	if err := c.register(ctx, greedyServices, ids.token); err != nil {
		return err
	}
	if len(kinds) == 0 {
		kinds = floodNames()
	}
	fmt.Printf("%d heartbeats a second, %v each; %d connections of the flood\n", pacedRate, d, greedyConns)
	ratios, controls := map[string][]float64{}, map[string][]float64{}
	for i := range rounds {
		for _, kind := range kinds {
			who := strings.ReplaceAll(fmt.Sprint("greedy-", kind, i), " ", "-") // one that has written nothing yet may write most
			token, err := ids.token(who)
			if err != nil {
				return err
			}
			free, err := c.paced(ctx, d)
			if err != nil {
				return err
			}
			one := greedyOne{kind, who, token, ids.certFile}
			busy, said, err := c.beside(ctx, one, c.url, d)
			if err != nil {
				return fmt.Errorf("beside %s: %w", kind, err)
			}
			elsewhere, saidElsewhere, err := c.beside(ctx, one, bare.url, d)
			if err != nil {
				return fmt.Errorf("beside %s of another server: %w", kind, err)
			}
			spread("without", free)
			spread("beside "+kind, busy)
			fmt.Printf("  the flood: %s\n", said)
			spread("beside "+kind+" of a bare server", elsewhere)
			fmt.Printf("  the flood: %s\n", saidElsewhere)
			ratios[kind] = append(ratios[kind], ratio(busy, free, .99))
			controls[kind] = append(controls[kind], ratio(elsewhere, free, .99))
		}
	}
	for _, kind := range kinds {
		slices.Sort(ratios[kind])
		slices.Sort(controls[kind])
		fmt.Printf("p99 beside %-12s / without, each round: %.1f; of a bare server: %.1f\n", kind, ratios[kind], controls[kind])
	}
	return nil
}

// greedyOne is an identity that floods.
type greedyOne struct{ kind, name, token, authority string }

// beside measures heartbeats while a server is flooded, and returns what the flood said.
func (c *contender) beside(ctx context.Context, one greedyOne, url string, d time.Duration) ([]time.Duration, string, error) {
	p, err := proc.Command{Program: "nice", Args: []string{"-n", floodNice, os.Args[0], "flooding", one.kind, url, one.authority, one.name, one.token, (d + time.Second).String()}}.Launch()
	if err != nil {
		return nil, "", err
	}
	defer p.Kill()
	if line := p.FirstLine(time.Minute); !strings.HasPrefix(line, "flooding") {
		return nil, "", fmt.Errorf("the flood did not begin: %q %s", line, p.Stderr)
	}
	busy, err := c.paced(ctx, d)
	if err != nil {
		return nil, "", err
	}
	p.WaitWithin(time.Minute)
	_, said, _ := strings.Cut(strings.TrimSpace(p.Stdout.String()), "\n")
	return busy, said, nil
}

// paced sends heartbeats at a fixed rate, whatever the answers take, each on its due time.
func (c *contender) paced(ctx context.Context, d time.Duration) ([]time.Duration, error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var lat []time.Duration
	var failed error
	tick := time.NewTicker(time.Second / pacedRate)
	defer tick.Stop()
	for i, began := 0, time.Now(); time.Since(began) < d && ctx.Err() == nil; i++ {
		due := <-tick.C
		wg.Go(func() {
			b := c.beats[i%pacedServices*len(c.beats)/pacedServices]
			res, err := c.send(ctx, "PATCH", b.path, mep.Alive, b.authorization)
			if err == nil {
				_ = res.Body.Close()
				if res.StatusCode != 204 {
					err = fmt.Errorf("a heartbeat was answered %d", res.StatusCode)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			lat = append(lat, time.Since(due))
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	return lat, failed
}
