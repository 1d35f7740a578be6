package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
)

const (
	floodServices = 4000
	floodConns    = 32 // of each kind
)

// flood compares what heartbeats take with and without others who ask for lists, register
// and find as fast as they can.
func flood(ctx context.Context, rounds int, d time.Duration) error {
	s, stop, err := start(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var paths []string
	for i := range floodServices {
		v, err := s.TryRegister(fmt.Sprint("app", i/500), fmt.Sprint("s", i), 300)
		if err != nil {
			return err
		}
		if i < pacedServices {
			paths = append(paths, v.Liveness)
		}
	}
	info := mep.Info("x", -1) + strings.Repeat(" ", 1000)
	kinds := []struct{ name, method, path, body string }{
		{"lists", "GET", mep.Base + "/services", ""},
		{"writes", "POST", mep.ServicesOf("flooder"), info},
		{"ServiceComb's lists", "GET", "/v4/default/govern/microservices?options=all", ""},
	}
	for range rounds {
		free, err := paced(ctx, s.URL, paths, d)
		if err != nil {
			return err
		}
		spread("without", free)
		for _, k := range kinds {
			flooding, end := context.WithCancel(ctx)
			var wg sync.WaitGroup
			var done, refused atomic.Int64
			for range floodConns {
				wg.Go(func() { repeat(flooding, s, k.method, k.path, k.body, &done, &refused) })
			}
			busy, err := paced(ctx, s.URL, paths, d)
			end()
			wg.Wait()
			if err != nil {
				return fmt.Errorf("beside %s: %w", k.name, err)
			}
			spread(fmt.Sprintf("beside %s (%d carried out, %d refused)", k.name, done.Load(), refused.Load()), busy)
		}
	}
	return nil
}

// repeat sends a request again and again over one connection.
func repeat(ctx context.Context, s *mep.Server, method, path, body string, done, refused *atomic.Int64) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(body))
		if err != nil {
			return
		}
		res, err := client.Do(r)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
			refused.Add(1)
		} else {
			done.Add(1)
		}
	}
}
