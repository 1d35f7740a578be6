package suite

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
)

// readerPace is few enough heartbeats that the machine has time to spare.
const readerPace = 200

// readers compares heartbeats with and without readers of the event stream, while a service
// changes once a second.
func readers(ctx context.Context, l *lab, s *site) ([]figure, error) {
	var ratios, loads []float64
	n, seen := l.size.readers, int64(0)
	for range l.size.rounds {
		free, _, err := l.besideChanges(ctx, s.main)
		if err != nil {
			return nil, err
		}
		reading, end := context.WithCancel(ctx)
		var wg sync.WaitGroup
		var open, read atomic.Int64
		for range n {
			wg.Go(func() {
				for reading.Err() == nil { // the listener's queue may be full
					readStream(reading, s.main.URL, &open, &read)
					pause(reading, 100*time.Millisecond)
				}
			})
		}
		for open.Load() < int64(n*99/100) && ctx.Err() == nil {
			pause(ctx, 50*time.Millisecond)
		}
		busy, own, err := l.besideChanges(ctx, s.main)
		end()
		wg.Wait()
		if err != nil {
			return nil, err
		}
		ratios, loads, seen = append(ratios, float64(busy)/float64(free)), append(loads, own), seen+read.Load()
		l.say("p99 %v without, %v with %d readers", free, busy, n)
	}
	if seen == 0 {
		return nil, errors.New("no reader was told of any change")
	}
	return []figure{{value: median(ratios), load: median(loads), more: fmt.Sprintf("rounds %s; %d readers, each in the load's process, %d changes read", each("%.2f", ratios), n, seen)}}, nil
}

// besideChanges is the 99th percentile of heartbeats while a service changes once a second.
func (l *lab) besideChanges(ctx context.Context, s *server) (p99 time.Duration, own float64, err error) {
	ctx, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	wg.Go(func() {
		for ctx.Err() == nil {
			_, _ = s.TryRegister("changing", "changing", interval)
			pause(ctx, time.Second)
		}
	})
	run := patches(s, s.wire, l.size.conns)
	run.For = max(l.size.each, time.Second)
	res := run.Pace(ctx, readerPace)
	return res.Latency.At(99), res.CPU.Seconds() / res.Took.Seconds(), res.Check()
}

// readStream reads one stream to its end; open counts those that have begun.
func readStream(ctx context.Context, url string, open, read *atomic.Int64) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+mp1.EventsPath, nil)
	if err != nil {
		return
	}
	res, err := (&http.Client{Transport: &http.Transport{ReadBufferSize: 1 << 10}}).Do(r)
	if err != nil {
		return
	}
	defer func() { _ = res.Body.Close() }()
	began := false
	for lines := bufio.NewReaderSize(res.Body, 1<<10); ; {
		line, err := lines.ReadSlice('\n')
		switch {
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			if began {
				open.Add(-1)
			}
			return
		case string(line) == "event: "+mp1.ResetEvent+"\n":
			began = true
			open.Add(1)
		case string(line) == "event: "+mp1.ChangeEvent+"\n":
			read.Add(1)
		}
	}
}
