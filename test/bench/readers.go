package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
)

// readers has a process of its own read event streams, and compares what heartbeats take with and
// without it while services change, round after round. The process runs at nice 19, for real readers
// have processors of their own.
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
		free, usedFree, err := changing(ctx, s, paths, d)
		if err != nil {
			return err
		}
		spread("without", free)
		end, err := read(s.Listen, conns)
		if err != nil {
			return err
		}
		busy, usedBusy, err := changing(ctx, s, paths, d)
		resident := s.Memory("VmRSS")
		said := end()
		if err != nil {
			return err
		}
		spread("with", busy)
		fmt.Printf("  %s; processor time of the server: %v without, %v with; resident: %d MiB\n", said, usedFree, usedBusy, resident>>20)
		allFree, allBusy = append(allFree, free...), append(allBusy, busy...)
	}
	fmt.Printf("with / without, all rounds: p50 %.2f, p90 %.2f, p99 %.2f\n", ratio(allBusy, allFree, .5), ratio(allBusy, allFree, .9), ratio(allBusy, allFree, .99))
	return nil
}

// read starts the process that reads, and waits until its streams are open. end ends it and returns
// what it said.
func read(address string, conns int) (end func() string, err error) {
	p, err := proc.Command{Program: "nice", Args: []string{"-n", floodNice, os.Args[0], "reading", address, strconv.Itoa(conns)}}.Launch()
	if err != nil {
		return nil, err
	}
	if line := p.FirstLine(2 * time.Minute); !strings.HasPrefix(line, "reading") {
		p.Kill()
		return nil, fmt.Errorf("the readers did not begin: %q %s", line, p.Stderr)
	}
	time.Sleep(settle)
	return func() string {
		defer p.Kill()
		p.Signal(os.Interrupt)
		p.WaitWithin(time.Minute)
		_, said, _ := strings.Cut(strings.TrimSpace(p.Stdout.String()), "\n")
		return said
	}, nil
}

// serveReading is the child process of readers.
func serveReading(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("reading wants an address and a number")
	}
	conns, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var begun, seen atomic.Int64
	for range conns {
		wg.Go(func() {
			for ctx.Err() == nil { // the listener's queue may be full
				readEvents(ctx, args[0], &begun, &seen)
			}
		})
	}
	for begun.Load() < int64(conns*99/100) && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	seen.Store(0)
	fmt.Println("reading")
	<-ctx.Done()
	open := begun.Load()
	wg.Wait()
	fmt.Printf("%d streams were open, %d changes were read\n", open, seen.Load())
	return nil
}

// changing sends heartbeats while a service changes once a second; used is the server's processor time.
func changing(ctx context.Context, s *mep.Server, paths []string, d time.Duration) (all []time.Duration, used time.Duration, err error) {
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
	before := s.CPU()
	all, err = paced(ctx, s.URL, paths, d)
	return all, s.CPU() - before, err
}

// readEvents reads one stream to its end; begun counts those that are open.
func readEvents(ctx context.Context, address string, begun, seen *atomic.Int64) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		select {
		case <-ctx.Done():
		case <-time.After(dripEvery):
		}
		return
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	defer func() { _ = c.Close() }()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", mp1.EventsPath, address); err != nil {
		return
	}
	open := false
	for lines := bufio.NewReaderSize(c, 1<<10); ; {
		line, err := lines.ReadSlice('\n')
		switch {
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			if open {
				begun.Add(-1)
			}
			return
		case string(line) == "event: "+mp1.ResetEvent+"\n":
			open = true
			begun.Add(1)
		case string(line) == "event: "+mp1.ChangeEvent+"\n":
			seen.Add(1)
		}
	}
}
