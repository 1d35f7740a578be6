package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
)

const (
	hostileSettle = 5 * time.Second // before a figure is read
	hostileConns  = 150
	madeUp        = 3000
	batchedRules  = 25000
)

// hostileMemory sends what once grew the memory and never gave it back, round after round:
// made-up methods and domains, finds with made-up version rules and names, and requests
// for lists that are not read. Each round is figured when it is over.
func hostileMemory(ctx context.Context, services, rounds int) error {
	s, stop, err := start(ctx, "MEP_LIMITS_WRITES_PER_SECOND=0", "MEP_LIMITS_BYTES_PER_SECOND=0") // else they would refuse most of it
	if err != nil {
		return err
	}
	defer stop()
	for i := range services {
		if _, err := s.TryRegister(fmt.Sprint("app", i/500), fmt.Sprint("s", i), 300); err != nil {
			return err
		}
	}
	if a, err := s.Try("POST", "/v4/default/registry/microservices",
		`{"service":{"serviceId":"found","appId":"hostile","serviceName":"found","version":"1.0.0"},"instances":[{"hostName":"h","endpoints":["rest://10.0.0.1:80"]}]}`); err != nil || a.Status != 200 {
		return fmt.Errorf("a microservice could not be registered: %d %s %w", a.Status, a.Body, err)
	}
	fmt.Printf("%d services; each round: %d methods and domains, 12 batches of %d version rules at once and in thousands, %d finds, %d connections that ask for lists and do not read\n",
		services, madeUp, batchedRules, madeUp, hostileConns)
	at, err := memory(ctx, s, "at the start")
	if err != nil {
		return err
	}
	began := time.Now()
	for n := range rounds {
		labels(s, n)
		finds(s, n)
		if _, err := memory(ctx, s, fmt.Sprintf("round %d, before the readers", n+1)); err != nil {
			return err
		}
		unread(ctx, s)
		now, err := memory(ctx, s, fmt.Sprintf("round %d", n+1))
		if err != nil {
			return err
		}
		fmt.Printf("  %+d MB since the start, after %v\n", (now-at)>>20, time.Since(began).Round(time.Second))
	}
	for time.Since(began) < 3*time.Minute && ctx.Err() == nil { // what is freed is given back slowly
		time.Sleep(time.Second)
	}
	now, err := memory(ctx, s, "three minutes after the start")
	if err == nil {
		fmt.Printf("  %+d MB since the start\n", (now-at)>>20)
	}
	return err
}

// memory prints what the process holds, and what it says of it.
func memory(ctx context.Context, s *mep.Server, when string) (rss int64, err error) {
	select {
	case <-ctx.Done():
	case <-time.After(hostileSettle):
	}
	a, err := s.Try("GET", "/metrics", "")
	if err != nil {
		return 0, err
	}
	series := 0
	seen := map[string]float64{}
	for line := range strings.Lines(string(a.Body)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		series++
		if at := strings.LastIndexByte(line, ' '); at > 0 {
			seen[line[:at]], _ = strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		}
	}
	mb := func(name string) int { return int(seen[name]) >> 20 }
	rss = s.Memory("VmRSS")
	fmt.Printf("%-32s RSS %4d MB, live heap %4d MB, %d series, finds remembered %d MB, unread %d MB, refused %.0f, cut %.0f\n", when, rss>>20, mb("go_memstats_heap_alloc_bytes"), series,
		mb(`mep_servicecomb_cache_bytes{cache="finds"}`), mb("mep_answers_unread_bytes"), seen["mep_answers_refused_total"], seen["mep_answers_cut_total"])
	return rss, nil
}

// labels sends made-up methods and domains.
func labels(s *mep.Server, round int) {
	each(madeUp, func(i int) {
		_, _ = s.Try(fmt.Sprintf("M%dX%d", round, i), mep.Base+"/services", "")
		_, _ = s.Try("GET", "/v4/default/registry/microservices", "", "X-Domain-Name", fmt.Sprintf("d%d-%d", round, i))
	})
}

// each calls f for 0 to n-1, some at a time.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	const at = 8
	for c := range at {
		wg.Go(func() {
			for i := c; i < n; i += at {
				f(i)
			}
		})
	}
	wg.Wait()
}

// finds asks for one service with ever new rules, in batches as large as they may be and
// larger, and one by one.
func finds(s *mep.Server, round int) {
	rule := func(i int) string {
		return fmt.Sprintf(`{"service":{"appId":"hostile","serviceName":"found","version":"0.%d.%d-1.%d.%d"}}`, round, i%30000, round+1, i/30000)
	}
	var all []string
	for i := range 12 * batchedRules {
		all = append(all, rule(i))
	}
	var batches []string
	for part := range slices.Chunk(all, batchedRules) {
		batches = append(batches, strings.Join(part, ","))
	}
	for part := range slices.Chunk(all, 1000) {
		batches = append(batches, strings.Join(part, ","))
	}
	statuses := map[int]int{}
	var mu sync.Mutex
	each(len(batches), func(i int) {
		a, _ := s.Try("POST", "/v4/default/registry/instances/action?type=query", `{"services":[`+batches[i]+`]}`)
		mu.Lock()
		defer mu.Unlock()
		statuses[a.Status]++
	})
	fmt.Println("  batches answered, by status:", statuses)
	each(madeUp, func(i int) {
		_, _ = s.Try("GET", fmt.Sprintf("/v4/default/registry/instances?appId=a%d&serviceName=n%d&version=1.%d.0&rev=%d", i, round, i, i), "")
		_, _ = s.Try("GET", fmt.Sprintf("/v4/default/registry/instances?appId=hostile&serviceName=found&version=1.0.0&rev=%d-%d&tags=t%d", round, i, i), "")
	})
}

// unread asks for lists on many connections and reads none of them.
func unread(ctx context.Context, s *mep.Server) {
	var all []net.Conn
	for i := range hostileConns {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", s.Listen)
		if err != nil {
			continue
		}
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4 << 10)
		}
		path := []string{mep.Base + "/services", "/mep" + mep.Base + "/services", "/v4/default/govern/microservices?options=all", "/metrics"}[i%4]
		_, _ = io.WriteString(c, strings.Repeat("GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n", 200))
		all = append(all, c)
	}
	time.Sleep(2 * time.Second)
	fmt.Printf("  %d connections do not read: RSS %d MB\n", len(all), s.Memory("VmRSS")>>20)
	for _, c := range all {
		_ = c.Close()
	}
}
