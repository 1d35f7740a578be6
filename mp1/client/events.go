package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"mime"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Event is one event of the platform's event stream: one of Change, Reset and Ping is not nil. It
// is an extension of our platform, which MEC 011 does not have.
type Event struct {
	// ID is where the stream goes on: the lastID of another call of [Client.Events], also by another
	// program.
	ID     string
	Change *mp1.ServiceChange
	// Reset is everything that the stream shows: what was known before is to be forgotten. A stream
	// begins with it, unless lastID is one that the platform still keeps.
	Reset *mp1.ServiceReset
	Ping  *mp1.ServicePing // nothing has changed, and the platform lives
}

const (
	// eventSilence is how long a stream may send nothing: it pings every ten seconds.
	eventSilence = 30 * time.Second
	// The pauses before a stream is opened again, which double; each is spread over its half.
	leastEventPause = 200 * time.Millisecond
	mostEventPause  = 10 * time.Second
)

// errStreamEnded is the error of a stream that the platform has ended: it stops, or this reader was
// too slow.
var errStreamEnded = errors.New("mp1 client: the platform has ended the event stream")

// Events goes through every change of every service that the application may discover and that f
// selects, in the order in which they were made, each once. It begins behind lastID; "" begins
// with a [Event].Reset.
//
// A connection that is lost is an error without an event; when the loop goes on it is made anew,
// after a pause, and the stream goes on behind what it has shown. It ends with ctx, and with a
// refusal that waiting does not change, such as of a token. The Timeout of Options.HTTPClient does
// not count: a stream that sends nothing for half a minute is lost.
func (c *Client) Events(ctx context.Context, f mp1.Filter, lastID string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		pause := leastEventPause
		for {
			err := c.readEvents(ctx, f, lastID, func(e Event) bool {
				lastID, pause = e.ID, leastEventPause
				return yield(e, nil)
			})
			if err == nil { // the loop was left
				return
			}
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			if !yield(Event{}, err) || ctx.Err() != nil || isFinal(err) {
				return
			}
			wait := pause/2 + rand.N(pause/2)
			var p *Problem
			if errors.As(err, &p) {
				wait = max(wait, p.RetryAfter)
			}
			pause = min(2*pause, mostEventPause)
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
			}
		}
	}
}

// isFinal says whether the same request would be refused again.
func isFinal(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status < http.StatusInternalServerError && p.Status != http.StatusTooManyRequests && p.Status != http.StatusRequestTimeout
}

// readEvents reads one connection until it is lost. nil: take has returned false.
func (c *Client) readEvents(ctx context.Context, f mp1.Filter, lastID string, take func(Event) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(eventSilence, func() { cancel(errSilent) })
	defer silent.Stop()
	r, err := c.newRequest(ctx, request{method: http.MethodGet, path: c.events, query: f.Query()})
	if err != nil {
		return err
	}
	r.Header.Set("Accept", mp1.EventStreamType+", application/problem+json")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	patient := c.http
	patient.Timeout = 0
	resp, err := patient.Do(r)
	if err != nil {
		return broken(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		data, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		return readProblem(resp, data)
	}
	if err := wantStream(resp.Header); err != nil {
		return err
	}
	lines := bufio.NewReader(resp.Body)
	for {
		raw, err := readEvent(lines, func() { silent.Reset(eventSilence) })
		if err != nil {
			return broken(ctx, err)
		}
		e, known, err := raw.decode()
		switch {
		case err != nil:
			return err
		case !known:
			continue
		}
		silent.Stop() // not while the event is handled
		if !take(e) {
			return nil
		}
		silent.Reset(eventSilence)
	}
}

// wantStream is an error of an answer that is something else, such as the page of a proxy.
func wantStream(h http.Header) error {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case err != nil || len(kind) > maxDetail:
		kind = "of a kind that it does not say"
	case kind == mp1.EventStreamType:
		return nil
	}
	return fmt.Errorf("mp1 client: the answer is %s, and no event stream; is there a mepserver at this URL?", kind)
}

// broken is why a stream was lost.
func broken(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		return errSilent
	case errors.Is(err, io.EOF):
		return errStreamEnded
	case errors.Is(err, ErrTooLarge):
		return err
	}
	return fmt.Errorf("mp1 client: %w", err)
}

// rawEvent is one server-sent event.
type rawEvent struct {
	id, kind string
	data     []byte
}

// readEvent reads lines to the next empty one; read is called whenever something has come.
func readEvent(lines *bufio.Reader, read func()) (e rawEvent, err error) {
	for size := 0; ; {
		line, err := readLine(lines, maxList-size, read)
		if err != nil {
			return e, err
		}
		if size += len(line); len(line) == 0 {
			return e, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "id":
			e.id = string(value)
		case "event":
			e.kind = string(value)
		case "data":
			if e.data != nil {
				e.data = append(e.data, '\n')
			}
			e.data = append(e.data, value...)
		}
	}
}

// readLine reads one line of at most so many bytes.
func readLine(lines *bufio.Reader, most int, read func()) (line []byte, err error) {
	for {
		part, err := lines.ReadSlice('\n')
		read()
		if len(line)+len(part) > most {
			return nil, ErrTooLarge
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimRight(line, "\r\n"), err
		}
	}
}

// decode reads the data. known is false for what a later platform sends besides.
func (raw *rawEvent) decode() (e Event, known bool, err error) {
	e.ID = raw.id
	var to any
	switch raw.kind {
	case mp1.ChangeEvent:
		e.Change = &mp1.ServiceChange{}
		to = e.Change
	case mp1.ResetEvent:
		e.Reset = &mp1.ServiceReset{}
		to = e.Reset
	case mp1.PingEvent:
		e.Ping = &mp1.ServicePing{}
		to = e.Ping
	default:
		return e, false, nil
	}
	return e, true, decode(raw.data, to)
}
