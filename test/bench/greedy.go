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
)

// greedy compares what heartbeats over TLS with tokens take with and without one identity that
// floods the server, in each of the ways of floodKinds. The flood comes from a process of its
// own, so that the clients of the heartbeats share no queue with it but the processors'.
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
	if err := c.register(ctx, greedyServices, ids.token); err != nil {
		return err
	}
	token, err := ids.token("greedy")
	if err != nil {
		return err
	}
	if len(kinds) == 0 {
		kinds = floodNames()
	}
	fmt.Printf("%d heartbeats a second, %v each; %d connections of the flood\n", pacedRate, d, greedyConns)
	ratios := map[string][]float64{}
	for range rounds {
		for _, kind := range kinds {
			free, err := c.paced(ctx, d)
			if err != nil {
				return err
			}
			busy, said, err := c.beside(ctx, kind, ids, token, d)
			if err != nil {
				return fmt.Errorf("beside %s: %w", kind, err)
			}
			spread("without", free)
			spread("beside "+kind, busy)
			fmt.Printf("  the flood: %s\n", said)
			ratios[kind] = append(ratios[kind], ratio(busy, free, .99))
		}
	}
	for _, kind := range kinds {
		slices.Sort(ratios[kind])
		fmt.Printf("p99 beside %s / without, each round: %.1f\n", kind, ratios[kind])
	}
	return nil
}

// beside measures heartbeats while the flood runs, and returns what the flood said.
func (c *contender) beside(ctx context.Context, kind string, ids *identities, token string, d time.Duration) ([]time.Duration, string, error) {
	p, err := proc.Command{Program: os.Args[0], Args: []string{"flooding", kind, c.url, ids.certFile, token, (d + time.Second).String()}}.Launch()
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
