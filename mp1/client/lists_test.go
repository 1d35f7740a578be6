package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// longList answers with so many services of some size.
func longList(services, bytes int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		before := "["
		for i := range services {
			if _, err := fmt.Fprintf(w, `%s{"serInstanceId":"id%d","serName":"%s","livenessInterval":3.0E1}`, before, i, strings.Repeat("n", bytes)); err != nil {
				return
			}
			before = ","
		}
		_, _ = io.WriteString(w, "]")
	}
}

// An application with many services, or a platform with many, must not keep a client from
// what it asks for.
func TestAListIsReadHoweverLongItIs(t *testing.T) {
	p := newFakePlatform(t, longList(500, 60<<10)) // 30 MB
	c := p.client(t, "")
	n := 0
	for s, err := range c.EachApplicationService(t.Context(), "a", mp1.Filter{}) {
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint("id", n), s.SerInstanceID)
		require.Equal(t, 30, *s.LivenessInterval)
		n++
	}
	require.Equal(t, 500, n)
	all, err := c.ApplicationServices(t.Context(), "a", mp1.Filter{})
	require.NoError(t, err)
	require.Len(t, all, 500)
	require.EqualValues(t, 1, p.conns.Load(), "a list that was read to its end leaves its connection")

	n = 0
	for _, err := range c.EachService(t.Context(), mp1.Filter{SerNames: []string{"x"}}) {
		require.NoError(t, err)
		if n++; n == 3 {
			break
		}
	}
	require.Equal(t, mp1.Base+"/services?ser_name=x", p.uri)
}

func TestAListThatCannotBeReadEndsWithItsError(t *testing.T) {
	huge := `{"serName":"` + strings.Repeat("x", 2*maxAnswer) + `"}`
	for body, want := range map[string]error{
		"": errUnreadable, "{}": errUnreadable, "[" + serviceJSON: errUnreadable, "[" + serviceJSON + ",]": errUnreadable, "[" + serviceJSON + "] []": errUnreadable,
		`[{"serName":5}]`: errUnreadable, "[" + serviceJSON + "," + huge + "]": ErrTooLarge, "[7]": errUnreadable,
		"[]": nil, "null": nil, " [ ] ": nil, "[" + serviceJSON + "]\n": nil,
	} {
		c := newFakePlatform(t, respond(200, body)).client(t, "")
		_, err := c.Services(t.Context(), mp1.Filter{})
		require.ErrorIs(t, err, want, "%.40q", body)
		last, errs := error(nil), 0
		for _, err := range c.EachService(t.Context(), mp1.Filter{}) {
			if last = err; err != nil {
				errs++
			}
		}
		require.ErrorIs(t, last, want)
		require.LessOrEqual(t, errs, 1)
	}
	_, err := newFakePlatform(t, respond(503, `{"detail":"later"}`, "Retry-After", "3")).client(t, "").Services(t.Context(), mp1.Filter{})
	require.Equal(t, &Problem{Status: 503, Detail: "later", RetryAfter: 3 * time.Second}, err)
	for _, err := range newFakePlatform(t, respond(200, "[]")).client(t, "").EachApplicationService(t.Context(), "a/b", mp1.Filter{}) {
		require.Error(t, err)
	}
	cut := newFakePlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5000")
		_, _ = io.WriteString(w, "["+serviceJSON+",")
	})
	_, err = cut.client(t, "").Services(t.Context(), mp1.Filter{})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the true cause")
}

// trickle answers with a list of which one service comes each second, and then perhaps
// nothing more.
type trickle struct {
	services int
	hangs    bool
}

func (tr trickle) RoundTrip(r *http.Request) (*http.Response, error) {
	body, w := io.Pipe()
	go func() {
		before := "["
		for range tr.services {
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				_ = w.CloseWithError(r.Context().Err())
				return
			}
			_, _ = io.WriteString(w, before+serviceJSON)
			before = ","
		}
		if tr.hangs {
			<-r.Context().Done()
			_ = w.CloseWithError(r.Context().Err())
			return
		}
		_, _ = io.WriteString(w, "]")
		_ = w.Close()
	}()
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: r}, nil
}

// The timeout of a client would end every list that takes longer, at each attempt again.
func TestAListMayTakeLongerThanTheTimeoutWhileItComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{BaseURL: "http://mep.example", HTTPClient: &http.Client{Timeout: 3 * time.Second, Transport: trickle{services: 60}}})
		require.NoError(t, err)
		n := 0
		for _, err := range c.EachService(t.Context(), mp1.Filter{}) {
			require.NoError(t, err)
			time.Sleep(5 * time.Second) // the caller's own time is no silence
			n++
		}
		require.Equal(t, 60, n)

		c, err = New(Options{BaseURL: "http://mep.example", HTTPClient: &http.Client{Timeout: 3 * time.Second, Transport: trickle{services: 2, hangs: true}}})
		require.NoError(t, err)
		began := time.Now()
		_, err = c.Services(t.Context(), mp1.Filter{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "sends nothing")
		require.Equal(t, 5*time.Second, time.Since(began), "two services, and a silence of three seconds")
		synctest.Wait()
	})
}

// Entries of three bytes would take fifty times their text in memory.
func TestAListOfVeryManyEntriesIsGivenUp(t *testing.T) {
	const entries = maxList/minEntry + 1
	p := newFakePlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "["+strings.Repeat("{},", entries-1)+"{}]")
	})
	c := p.client(t, "")
	_, err := c.Services(t.Context(), mp1.Filter{})
	require.ErrorIs(t, err, ErrTooLarge)
	n := 0
	for _, err := range c.EachService(t.Context(), mp1.Filter{}) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, entries, n, "one at a time they take none")
}
