package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// readers opens event streams, and compares what heartbeats take with and without them while
// services change.
func readers(ctx context.Context, conns, rounds int, d time.Duration) error {
	s, stop, err := start(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var paths []string
	for i := range pacedServices {
		v, err := s.TryRegister("app", fmt.Sprint("s", i), 300)
		if err != nil {
			return err
		}
		paths = append(paths, v.Liveness)
	}
	fmt.Printf("%d heartbeats a second, %v each, beside a service that changes once a second; %d readers of the event stream\n", pacedRate, d, conns)
	var allFree, allBusy []time.Duration
	for range rounds {
		free, err := changing(ctx, s, paths, d)
		if err != nil {
			return err
		}
		spread("without", free)
		reading, end := context.WithCancel(ctx)
		var wg sync.WaitGroup
		var begun, seen atomic.Int64
		for range conns {
			wg.Go(func() {
				for reading.Err() == nil { // the listener's queue may be full
					readEvents(reading, s.URL, &begun, &seen)
				}
			})
		}
		for begun.Load() < int64(conns*99/100) && ctx.Err() == nil {
			time.Sleep(50 * time.Millisecond)
		}
		seen.Store(0)
		used := s.CPU()
		busy, err := changing(ctx, s, paths, d)
		used = s.CPU() - used
		end()
		wg.Wait()
		if err != nil {
			return err
		}
		spread("with", busy)
		fmt.Printf("  %d changes were read; processor time of the server: %v\n", seen.Load(), used)
		allFree, allBusy = append(allFree, free...), append(allBusy, busy...)
	}
	fmt.Printf("with / without, all rounds: p50 %.2f, p90 %.2f, p99 %.2f\n", ratio(allBusy, allFree, .5), ratio(allBusy, allFree, .9), ratio(allBusy, allFree, .99))
	return nil
}

// changing sends heartbeats while a service changes once a second.
func changing(ctx context.Context, s *mep.Server, paths []string, d time.Duration) ([]time.Duration, error) {
	ctx, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_, _ = s.TryRegister("other", fmt.Sprint("n", n), 300)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	})
	defer wg.Wait()
	defer end()
	return paced(ctx, s.URL, paths, d)
}

// readEvents reads one stream to its end; begun counts those that are open.
func readEvents(ctx context.Context, url string, begun, seen *atomic.Int64) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+mp1.EventsPath, nil)
	if err != nil {
		return
	}
	res, err := (&http.Client{Transport: &http.Transport{ReadBufferSize: 1 << 10}}).Do(r)
	if err != nil {
		select {
		case <-ctx.Done():
		case <-time.After(dripEvery):
		}
		return
	}
	defer func() { _ = res.Body.Close() }()
	open := false
	for lines := bufio.NewReaderSize(res.Body, 1<<10); ; {
		line, err := lines.ReadSlice('\n')
		switch {
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			if open {
				begun.Add(-1)
			}
			return
		case string(line) == "event: reset\n":
			open = true
			begun.Add(1)
		case string(line) == "event: change\n":
			seen.Add(1)
		}
	}
}
