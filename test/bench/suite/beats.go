package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/test/bench/load"
	"github.com/mec-liveness/mepserver/test/bench/report"
)

// patches are the heartbeats of all services of a server, in turn.
func patches(s *server, dial load.Dialer, conns int) load.Run {
	return load.Run{Dial: dial, Conns: conns, Next: s.beat, Done: s.beaten}
}

// bareOf sends what patches sends, to a bare server.
func bareOf(s *server, dial load.Dialer, conns int) load.Run {
	return load.Run{Dial: dial, Conns: conns, Next: s.beat}
}

// beats compares heartbeats by net/http's client, as most applications send them.
func beats(ctx context.Context, l *lab, s *site) ([]figure, error) {
	own, err := l.ownHeartbeats(ctx, s.main)
	if err != nil {
		return nil, err
	}
	n, b := l.size.conns, s.bare
	all := []*contender{
		{name: "bare net/http", run: bareOf(s.main, b.plain(n), n), cpu: b.CPU},
		{name: "mepserver", run: patches(s.main, s.main.client(n), n), cpu: s.main.processor()},
		{name: "bare net/http, TLS", run: bareOf(s.main, b.tls(n), n), cpu: b.CPU, bare: 2},
		{name: "mepserver, TLS", run: patches(b.secure, b.secure.client(n), n), cpu: b.secure.cpu, bare: 2},
		{name: "service-center's own", run: load.Run{Dial: s.main.client(n), Conns: n, Next: own}, cpu: s.main.processor()},
	}
	if err := l.compare(ctx, all); err != nil {
		return nil, err
	}
	many, err := l.many(ctx, s, l.size.manyConns)
	if err != nil {
		return nil, err
	}
	return []figure{all[1].figure(all), many, all[3].figure(all), all[4].figure(all)}, nil
}

// many is the comparison of plain HTTP alone, over another number of connections.
func (l *lab) many(ctx context.Context, s *site, n int) (figure, error) {
	all := []*contender{
		{name: fmt.Sprintf("bare net/http, %d", n), run: bareOf(s.main, s.bare.plain(n), n), cpu: s.bare.CPU},
		{name: fmt.Sprintf("mepserver, %d", n), run: patches(s.main, s.main.client(n), n), cpu: s.main.processor()},
	}
	err := l.compare(ctx, all)
	if err != nil {
		return figure{}, err
	}
	return all[1].figure(all), nil
}

// ownInstances is how many instances service-center's own heartbeats go to.
const ownInstances = 100

// ownHeartbeats registers a microservice with instances at service-center's API, and gives their
// heartbeats there.
func (l *lab) ownHeartbeats(ctx context.Context, s *server) (func(i int) load.Request, error) {
	const root = "/v4/default/registry/microservices"
	c := s.wire()
	defer c.Close()
	ask := func(path, body string, into any) error {
		a, err := c.Do(ctx, load.Request{Method: http.MethodPost, Path: path, Body: body, Keep: true})
		if err != nil {
			return err
		}
		if a.Status != http.StatusOK {
			return fmt.Errorf("POST %s was answered %d: %.200s", path, a.Status, a.Body)
		}
		return json.Unmarshal(a.Body, into)
	}
	var made struct{ ServiceID string }
	if err := ask(root, `{"service":{"appId":"bench","serviceName":"own","version":"1.0.0"}}`, &made); err != nil {
		return nil, err
	}
	var paths []string
	for i := range ownInstances {
		var got struct{ InstanceID string }
		if err := ask(root+"/"+made.ServiceID+"/instances", fmt.Sprintf(`{"instance":{"hostName":"h%d","endpoints":["rest://10.0.0.1:%d"]}}`, i, 1000+i), &got); err != nil {
			return nil, err
		}
		paths = append(paths, root+"/"+made.ServiceID+"/instances/"+got.InstanceID+"/heartbeat")
	}
	return func(i int) load.Request {
		return load.Request{Method: http.MethodPut, Path: paths[i%len(paths)]}
	}, nil
}

// latency sends heartbeats at a rate that all of them can take, each from when it was due.
func latency(ctx context.Context, l *lab, s *site) ([]figure, error) {
	n, b := l.size.conns, s.bare
	all := []*contender{
		{name: "bare net/http", run: bareOf(s.main, b.plainWire, n)},
		{name: "mepserver", run: patches(s.main, s.main.wire, n)},
		{name: "bare net/http, TLS", run: bareOf(s.main, b.tlsWire, n)},
		{name: "mepserver, TLS", run: patches(b.secure, b.secure.wire, n)},
	}
	var last [4]load.Result
	for round := range l.size.rounds {
		for i, c := range all {
			c.run.For = max(l.size.each, l.size.paced/4)
			res := c.run.Pace(ctx, l.size.pace)
			if err := res.Mostly(); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			c.faults += res.Faults()
			if round == 0 {
				c.latency = load.NewHist()
			}
			c.latency.Merge(res.Latency)
			c.loads = append(c.loads, res.CPU.Seconds()/res.Took.Seconds())
			last[i] = res
		}
		l.say("round %d is over", round+1)
	}
	var lines []report.Series
	for _, c := range all {
		lines = append(lines, l.line(c.name, c.latency))
	}
	l.draw("beats.svg", fmt.Sprintf("Heartbeats at %.0f a second, from when they were due", l.size.pace), lines...)
	return []figure{
		{value: ms(all[1].latency.At(99)), more: all[1].faults + percentiles(all[1].latency) + lateness(last[1]), load: median(all[1].loads)},
		{value: ms(all[0].latency.At(99)), more: all[0].faults + percentiles(all[0].latency) + lateness(last[0]), load: median(all[0].loads)},
	}, nil
}

// batchPath is where heartbeats of many services go at once.
const batchPath = "/mec_liveness/v1/heartbeats"

// errNoBatches says that a server does not take batches.
var errNoBatches = errors.New("the server does not offer batches of heartbeats")

// batchesOf are all services of a server, in batches.
func (l *lab) batchesOf(ctx context.Context, s *server, dial load.Dialer, conns int) (run load.Run, size int, err error) {
	size = min(l.size.batch, len(s.services))
	type element struct {
		App string `json:"appInstanceId"`
		ID  string `json:"serInstanceId"`
	}
	var bodies []string
	for at := 0; at+size <= len(s.services); at += size {
		var all []element
		for _, v := range s.services[at : at+size] {
			all = append(all, element{v.app, v.id})
		}
		b, err := json.Marshal(map[string]any{"heartbeats": all})
		if err != nil {
			return run, 0, err
		}
		bodies = append(bodies, string(b))
	}
	next := func(i int) load.Request {
		return load.Request{Method: http.MethodPost, Path: batchPath, Body: bodies[i%len(bodies)], Keep: true}
	}
	c := dial()
	defer c.Close()
	a, err := c.Do(ctx, next(0))
	switch {
	case err != nil:
		return run, 0, err
	case a.Status == http.StatusNotFound || a.Status == http.StatusMethodNotAllowed:
		return run, 0, fmt.Errorf("%w: %s was answered %d", errNoBatches, batchPath, a.Status)
	}
	done := func(_ int, _ time.Time, a load.Answer) error {
		if got, other := renewed(a.Body); a.Status != http.StatusOK || got != size {
			return fmt.Errorf("a batch of %d was answered %d, with %d renewed: %.300s", size, a.Status, got, other)
		}
		return nil
	}
	return load.Run{Dial: dial, Conns: conns, Next: next, Done: done}, size, done(0, time.Time{}, a)
}

// batchConns is how many batches are sent at a time.
const batchConns = 4

// batches compares services renewed by batches with those by PATCH.
func batches(ctx context.Context, l *lab, s *site) ([]figure, error) {
	run, size, err := l.batchesOf(ctx, s.main, s.main.wire, batchConns)
	if errors.Is(err, errNoBatches) {
		return []figure{skip("%v", err)}, nil
	}
	if err != nil {
		return nil, err
	}
	n := l.size.conns
	all := []*contender{
		{name: "PATCH", run: patches(s.main, s.main.client(n), n), cpu: s.main.processor()},
		{name: fmt.Sprintf("batches of %d", size), run: run, cpu: s.main.processor(), each: size},
	}
	if err := l.compare(ctx, all); err != nil {
		return nil, err
	}
	return []figure{all[1].figure(all)}, nil
}

// beatsBase are beats at a server that somebody else runs.
func beatsBase(ctx context.Context, l *lab, s *site) ([]figure, error) {
	var out []figure
	for _, n := range []int{l.size.conns, l.size.manyConns} {
		f, err := l.many(ctx, s, n)
		if err != nil {
			return out, err
		}
		out = append(out, f)
	}
	return out, nil
}

// latencyBase is latency at a server that somebody else runs, at a rate that it can surely take.
func latencyBase(ctx context.Context, l *lab, s *site) ([]figure, error) {
	run := patches(s.main, s.main.wire, l.size.conns)
	run.For = l.size.each
	most := run.Saturate(ctx)
	if err := most.Check(); err != nil {
		return nil, err
	}
	run.For = l.size.paced
	res := run.Pace(ctx, max(most.PerSecond()/10, 1))
	if err := res.Check(); err != nil {
		return nil, err
	}
	l.draw("beats.svg", fmt.Sprintf("Heartbeats at %.0f a second, from when they were due", most.PerSecond()/10), l.line(s.main.name, res.Latency))
	return []figure{{value: ms(res.Latency.At(99)), more: fmt.Sprintf("%.0f/s; ", most.PerSecond()/10) + percentiles(res.Latency) + lateness(res), load: res.CPU.Seconds() / res.Took.Seconds()}}, nil
}

// renewed is how many elements of a batch's answer were renewed; other is the result of the first that was
// not, or the answer if it has none.
func renewed(body []byte) (n int, other []byte) {
	if n = bytes.Count(body, []byte(`"status":204`)); n > 0 && n == bytes.Count(body, []byte(`"status":`)) {
		return n, nil // as nearly always: to parse it would take processor time from the server
	}
	n = 0
	var got struct{ Results []json.RawMessage }
	if json.Unmarshal(body, &got) != nil || len(got.Results) == 0 {
		return 0, body
	}
	for _, b := range got.Results {
		var r struct{ Status int }
		if json.Unmarshal(b, &r) == nil && (r.Status == http.StatusNoContent || r.Status == http.StatusOK) {
			n++
		} else if other == nil {
			other = b
		}
	}
	return n, other
}
