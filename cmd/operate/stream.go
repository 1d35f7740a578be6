package operate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/mp1"
)

const (
	eventsPath = mp1.LivenessBase + "/events"
	// silence is how long nothing may come: the server sends something every 10 s.
	silence = 25 * time.Second
	// longestEvent is of one line: a reset holds all services.
	longestEvent   = 256 << 20
	firstWait      = time.Second
	longestWait    = 15 * time.Second
	headerTimeout  = 30 * time.Second
	refusedTextMax = 64 << 10
)

// Event is one event of the stream.
type Event struct {
	Kind string          `json:"event"` // change, reset or ping
	Data json.RawMessage `json:"data"`
	id   string
}

// stream reads the events of a server until its context ends.
type stream struct {
	server *remote.Server
	last   string // id of the event that was seen last; "": the stream begins with a reset
	see    func(Event) error
	// lost is called when the stream has ended and is asked for again.
	lost func(why error, wait time.Duration)
	// first is how long is waited before it is asked for again, and then twice as long each time.
	first time.Duration
}

// errSeen is the error of see, which ends the stream.
type errSeen struct{ error }

// Unwrap is for errors.Is.
func (e errSeen) Unwrap() error { return e.error }

// run shows events until ctx ends, which is no error. A stream that ends is asked for again behind
// the last event, but one that never began, or that is refused, is an error.
func (s *stream) run(ctx context.Context) error {
	wait := s.first
	for begun := false; ; {
		events, err := s.read(ctx)
		var seen errSeen
		switch begun = begun || events > 0; {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // to be stopped is none
		case errors.As(err, &seen):
			return seen.error
		case !begun, isRefusal(err):
			return err
		}
		if events > 0 {
			wait = s.first
		}
		s.lost(err, wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, longestWait)
	}
}

// refused is the error of a status that waiting does not change.
type refused struct{ error }

func isRefusal(err error) bool {
	var r refused
	return errors.As(err, &r)
}

// read reads one stream to its end, and returns how many events came.
func (s *stream) read(ctx context.Context) (events int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive := time.AfterFunc(headerTimeout, cancel) // whoever is silent for longer is gone
	defer alive.Stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.Base.JoinPath(eventsPath).String(), nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Accept", "text/event-stream")
	if s.last != "" {
		r.Header.Set("Last-Event-ID", s.last)
	}
	res, err := remote.NewClient(s.server.Transport, 0).Do(r)
	if err != nil {
		return 0, remote.OnTheWay(err)
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode == http.StatusNotFound:
		return 0, refused{errors.New("the server does not have this: it is no mepserver, or an older one")}
	case res.StatusCode != http.StatusOK:
		b, _ := io.ReadAll(io.LimitReader(res.Body, refusedTextMax))
		err := remote.Refusal(res.StatusCode, b)
		if res.StatusCode < http.StatusInternalServerError && res.StatusCode != http.StatusTooManyRequests && res.StatusCode != http.StatusUnauthorized {
			err = refused{err}
		}
		return 0, err
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, longestEvent)
	var e Event
	for lines.Scan() {
		alive.Reset(silence)
		if done := e.line(lines.Text()); !done {
			continue
		}
		if e.id != "" {
			s.last = e.id
		}
		events++
		if err := s.see(e); err != nil {
			return events, errSeen{err}
		}
		e = Event{}
	}
	if err := lines.Err(); err != nil {
		return events, fmt.Errorf("the stream was cut: %w", err)
	}
	return events, errors.New("the stream has ended")
}

// line takes one line of the stream (HTML §9.2.6); true: the event is complete.
func (e *Event) line(text string) bool {
	if text == "" {
		return json.Valid(e.Data)
	}
	name, value, _ := strings.Cut(text, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "id":
		e.id = value
	case "event":
		e.Kind = value
	case "data":
		e.Data = append(e.Data, value...)
	}
	return false
}
