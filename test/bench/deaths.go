package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
)

// deaths lets n services die at random moments and looks every 20 ms which of them
// discovery still shows.
func deaths(ctx context.Context, n int) error {
	s, stop, err := start(ctx, mep.Fast...)
	if err != nil {
		return err
	}
	defer stop()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	last, hidden := map[string]time.Time{}, map[string]time.Duration{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		v, err := s.TryRegister(fmt.Sprint("bench", i/500), fmt.Sprint("s", i), 1)
		if err != nil {
			return err
		}
		mu.Lock()
		last[v.ID] = time.Now()
		mu.Unlock()
		beats := 1 + rnd.IntN(8)
		wg.Go(func() {
			for range beats {
				time.Sleep(time.Second)
				at := time.Now()
				if a, err := s.Try("PATCH", v.Liveness, mep.Alive); err == nil && a.Status < 300 {
					mu.Lock()
					last[v.ID] = at
					mu.Unlock()
				}
			}
		})
	}
	for end := time.Now().Add(60 * time.Second); len(hidden) < n && time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		shown, err := s.Discover()
		if err != nil {
			continue
		}
		now := time.Now()
		mu.Lock()
		for id, at := range last {
			if _, done := hidden[id]; !shown[id] && !done {
				hidden[id] = now.Sub(at)
			} else if shown[id] && done {
				delete(hidden, id) // it was heard again
			}
		}
		mu.Unlock()
	}
	wg.Wait()
	var all []time.Duration
	for _, d := range hidden {
		all = append(all, d)
	}
	fmt.Printf("seed %d, interval 1 s, allowedMisses 1, hold 1 s; polled every 20 ms\n", seed)
	spread("last heartbeat to hidden", all)
	if len(all) < n {
		return fmt.Errorf("%d of %d were not hidden within 60 s", n-len(all), n)
	}
	return nil
}
