package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
)

const (
	pacedServices = 200
	pacedRate     = 200 // heartbeats a second; few enough that the machine has time to spare
	dripEvery     = time.Second
	settle        = 5 * time.Second // after the rush of opening them
)

// slow opens connections that send nothing, or a byte a second, or read nothing, and
// compares what heartbeats take with and without them. What the server closes is
// opened again, so that the number stands.
func slow(ctx context.Context, conns, rounds int, d time.Duration) error {
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
	fmt.Printf("%d heartbeats a second, %v each; %d connections: silent, silent after a request, a byte a second of a header, of a body, and not reading\n", pacedRate, d, conns)
	var allFree, allBusy []time.Duration
	for range rounds {
		used := s.CPU()
		free, err := paced(ctx, s.URL, paths, d)
		if err != nil {
			return err
		}
		usedFree := s.CPU() - used
		spread("without", free)
		h := crowd(ctx, s.Listen, paths[0], conns)
		h.wait(ctx, conns)
		used = s.CPU()
		busy, err := paced(ctx, s.URL, paths, d)
		usedBusy := s.CPU() - used
		open, closed, reading := h.end()
		if err != nil {
			return err
		}
		spread("with", busy)
		fmt.Printf("  %d open at the end; meanwhile the server closed %d, and answered the slow %d times; its processor time: %v without, %v with\n", open, closed, reading, usedFree, usedBusy)
		allFree, allBusy = append(allFree, free...), append(allBusy, busy...)
	}
	fmt.Printf("with / without, all rounds: p50 %.2f, p90 %.2f, p99 %.2f\n", ratio(allBusy, allFree, .5), ratio(allBusy, allFree, .9), ratio(allBusy, allFree, .99))
	return nil
}

func ratio(a, b []time.Duration, p float64) float64 {
	at := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[min(int(p*float64(len(d))), len(d)-1)])
	}
	return at(a) / at(b)
}

// paced sends heartbeats at a fixed rate, whatever the answers take, each on its due
// time: a server that is late is seen to be late.
func paced(ctx context.Context, url string, paths []string, d time.Duration) ([]time.Duration, error) {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var lat []time.Duration
	var failed error
	tick := time.NewTicker(time.Second / pacedRate)
	defer tick.Stop()
	for i, began := 0, time.Now(); time.Since(began) < d && ctx.Err() == nil; i++ {
		due := <-tick.C
		wg.Go(func() {
			err := patch(ctx, client, url+paths[i%len(paths)])
			mu.Lock()
			defer mu.Unlock()
			lat = append(lat, time.Since(due))
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	return lat, failed
}

func patch(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, "PATCH", url, strings.NewReader(mep.Alive))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("a heartbeat was answered %d", res.StatusCode)
	}
	return nil
}

// hostile holds connections open.
type hostile struct {
	stop          context.CancelFunc
	wg            sync.WaitGroup
	open          atomic.Int64
	closed, heard atomic.Int64
}

func crowd(ctx context.Context, address, path string, conns int) *hostile {
	ctx, stop := context.WithCancel(ctx)
	h := &hostile{stop: stop}
	for i := range conns {
		h.wg.Go(func() {
			for ctx.Err() == nil {
				h.hold(ctx, address, path, i%5)
			}
		})
	}
	return h
}

func (h *hostile) wait(ctx context.Context, conns int) {
	for h.open.Load() < int64(conns*95/100) && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	select {
	case <-ctx.Done():
	case <-time.After(settle):
	}
}

func (h *hostile) end() (open, closed, heard int64) {
	open, closed, heard = h.open.Load(), h.closed.Load(), h.heard.Load()
	h.stop()
	h.wg.Wait()
	return open, closed, heard
}

// hold opens one connection and keeps it as long as the server lets it.
func (h *hostile) hold(ctx context.Context, address, path string, kind int) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		select { // the listener's queue is full
		case <-ctx.Done():
		case <-time.After(dripEvery):
		}
		return
	}
	unwatch := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer unwatch()
	h.open.Add(1)
	defer func() {
		_ = c.Close()
		h.open.Add(-1)
		if ctx.Err() == nil {
			h.closed.Add(1)
		}
	}()
	beat := "PATCH " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
	switch kind {
	case 0: // says nothing
	case 1: // says nothing any more
		_, err = io.WriteString(c, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
	case 2:
		h.drip(ctx, c, beat+"X-Slow: "+strings.Repeat("x", 1000))
		return
	case 3:
		_, err = io.WriteString(c, beat+"\r\n")
		if err == nil {
			h.drip(ctx, c, strings.Repeat(" ", 1000))
			return
		}
	case 4: // asks for more than its small window takes and reads none of it
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4 << 10)
		}
		_, _ = io.WriteString(c, strings.Repeat("GET "+mep.Base+"/services HTTP/1.1\r\nHost: localhost\r\n\r\n", 200))
		<-ctx.Done()
		return
	}
	if err == nil {
		h.listen(c)
	}
}

// listen reads until the server closes.
func (h *hostile) listen(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		h.heard.Add(1)
	}
}

// drip sends a byte a second until the server closes.
func (h *hostile) drip(ctx context.Context, c net.Conn, text string) {
	gone := make(chan struct{})
	go func() { defer close(gone); h.listen(c) }()
	t := time.NewTicker(dripEvery)
	defer t.Stop()
	for i := 0; i < len(text); i++ {
		if _, err := io.WriteString(c, text[i:i+1]); err != nil {
			break
		}
		select {
		case <-ctx.Done():
		case <-gone:
		case <-t.C:
			continue
		}
		break
	}
	_ = c.Close()
	<-gone
}
