package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
)

// beats compares heartbeats a second with what a bare net/http handler does with the
// same request, turn by turn in one run: the client and both servers share the
// machine, so only the ratio says something. The bare handler runs in a process of
// its own, as mepserver does.
func beats(ctx context.Context, endpoints string, services, conns, rounds int, d time.Duration) error {
	var o mep.Options
	if endpoints != "" {
		o.Endpoints = strings.Split(endpoints, ",")
	}
	s, stop, err := startWith(ctx, o)
	if err != nil {
		return err
	}
	defer stop()
	var paths []string
	for i := range services {
		v, err := s.TryRegister(fmt.Sprint("app", i/500), fmt.Sprint("s", i), 60)
		if err != nil {
			return err
		}
		paths = append(paths, v.Liveness)
	}
	bare, err := proc.Command{Program: os.Args[0], Args: []string{"bare"}}.Launch()
	if err != nil {
		return err
	}
	defer bare.Kill()
	_, bareURL, ok := strings.Cut(strings.TrimSpace(bare.FirstLine(time.Minute)), "bare ready on ")
	if !ok {
		return fmt.Errorf("the bare server did not start: %s", bare.Stderr)
	}
	fmt.Printf("%d services, %d connections, %d rounds of %v each\n", services, conns, rounds, d)
	var ratios, costs []float64
	for range rounds {
		a, bareCost, err := measure(ctx, "bare net/http", bareURL, bare.CPU, paths, conns, d)
		if err != nil {
			return err
		}
		b, cost, err := measure(ctx, "mepserver", s.URL, s.CPU, paths, conns, d)
		if err != nil {
			return err
		}
		ratios = append(ratios, b/a)
		if bareCost > 0 {
			costs = append(costs, float64(cost)/float64(bareCost))
		}
	}
	fmt.Printf("heartbeats a second, of bare net/http, each round: %.2f\n", ratios)
	fmt.Printf("processor time of the server for one, of bare net/http's, each round: %.2f\n", costs)
	return nil
}

// measure loads one server and prints how many heartbeats a second it answered, and the
// processor time that it took for one. The latter hardly depends on what else the machine
// does.
func measure(ctx context.Context, name, url string, cpu func() time.Duration, paths []string, conns int, d time.Duration) (perSecond float64, cost time.Duration, err error) {
	before := cpu()
	perSecond, lat, err := load(ctx, url, paths, conns, d)
	if err != nil {
		return 0, 0, err
	}
	cost = (cpu() - before) / time.Duration(len(lat))
	fmt.Printf("%-14s %8.0f/s, %v of processor time for one\n", name, perSecond, cost.Round(100*time.Nanosecond))
	spread("  latency", lat)
	return perSecond, cost, nil
}

// serveBare is the child process that answers 204 to everything, after reading the
// body.
func serveBare(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("bare ready on http://" + l.Addr().String())
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})}
	return srv.Serve(l)
}

// load sends heartbeats over conns connections for d.
func load(ctx context.Context, url string, paths []string, conns int, d time.Duration) (perSecond float64, lat []time.Duration, err error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: conns}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	var n, bad atomic.Int64
	lats := make([][]time.Duration, conns)
	began := time.Now()
	for c := range conns {
		wg.Go(func() {
			for i := c; time.Since(began) < d && ctx.Err() == nil; i += conns {
				at := time.Now()
				req, err := http.NewRequestWithContext(ctx, "PATCH", url+paths[i%len(paths)], strings.NewReader(mep.Alive))
				if err != nil {
					bad.Add(1)
					return
				}
				req.Header.Set("Content-Type", "application/json")
				res, err := client.Do(req)
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
				lats[c] = append(lats[c], time.Since(at))
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
	return float64(n.Load()) / time.Since(began).Seconds(), lat, nil
}
