package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/retryafter"
)

// What is read of an answer, in bytes, and what is believed of it.
const (
	maxAnswer     = 512 << 10 // a registration may have 64 KiB, and its escaped form be six times as long
	maxDetail     = 512
	maxRetryAfter = 24 * time.Hour
)

// request is what call sends: to a path and query at the origin, or to target.
type request struct {
	method, path, query string
	target              *url.URL
	body                any // written as JSON; nil: none
	status              int
	maxBytes            int64 // of the answer; 0: maxAnswer
	mayBeEmpty          bool  // 204 is good too
	repeatable          bool
	options             []RequestOption
}

// call sends a request and reads the answer into out. The body is read to its end, because
// net/http cannot use the connection again otherwise; that of a body that is too large is
// given up.
func (c *Client) call(ctx context.Context, q request, out any) error {
	resp, err := c.send(ctx, q, &c.http)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	most := int64(maxAnswer)
	if resp.StatusCode == q.status {
		most = max(most, q.maxBytes)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	switch {
	case resp.StatusCode == http.StatusNoContent && (q.mayBeEmpty || q.status == http.StatusNoContent):
		return nil
	case resp.StatusCode != q.status:
		return readProblem(resp, data) // also of a body that is cut off or too large: the status is known
	case err != nil:
		return fmt.Errorf("mp1 client: %w", err)
	case int64(len(data)) > most:
		return ErrTooLarge
	case out == nil:
		return nil
	}
	return decode(data, out)
}

// send sends a request by h and returns the answer, whose body the caller closes.
func (c *Client) send(ctx context.Context, q request, h *http.Client) (*http.Response, error) {
	condition, err := conditionOf(q.options)
	if err != nil {
		return nil, err
	}
	r, err := c.newRequest(ctx, q)
	if err != nil {
		return nil, err
	}
	if condition.asked {
		r.Header.Set("If-Match", condition.etag)
	}
	if condition.place && (q.method != http.MethodDelete || !c.AgentKept()) {
		return nil, &mp1.Invalid{Attribute: agentScopeHeader, Rule: "may be sent only in a DELETE to a platform that keeps agents"}
	}
	if condition.place {
		r.Header.Set(agentScopeHeader, "place")
	}
	resp, err := h.Do(r)
	if err != nil {
		return nil, fmt.Errorf("mp1 client: %w", err)
	}
	if c.agent != "" && resp.Header.Get(agentHeader) == c.agent {
		c.kept.Store(true)
	}
	if tag := resp.Header.Get("ETag"); condition.to != nil && resp.StatusCode == q.status && isETag(tag) {
		*condition.to = tag
	}
	return resp, nil
}

// decode reads an answer. A platform whose language has no integers writes 60.0, which
// encoding/json refuses for an int: then the numbers are rewritten.
func decode(data []byte, out any) error {
	err := json.Unmarshal(data, out)
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && strings.HasPrefix(kind.Value, "number") {
		err = json.Unmarshal(mp1.PlainNumbers(data), out)
	}
	if err != nil { // its text would repeat the answer
		return errUnreadable
	}
	return nil
}

func (c *Client) newRequest(ctx context.Context, q request) (*http.Request, error) {
	target := c.origin.String() + q.path
	if q.query != "" {
		target += "?" + q.query
	}
	if q.target != nil {
		target = q.target.String()
	}
	var body io.Reader
	if q.body != nil {
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false) // it would write & as six bytes, and bodies have a limit
		if err := e.Encode(q.body); err != nil {
			return nil, fmt.Errorf("mp1 client: %w", err)
		}
		body = bytes.NewReader(bytes.TrimSpace(text.Bytes()))
	}
	r, err := http.NewRequestWithContext(ctx, q.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("mp1 client: %w", err)
	}
	r.Header.Set("Accept", "application/json, application/problem+json")
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.agent != "" {
		r.Header.Set(agentHeader, c.agent)
	}
	if q.repeatable {
		// net/http repeats a request by itself when an idle connection turns out to be
		// closed, but a PATCH only with this header. An empty value is not sent.
		r.Header["Idempotency-Key"] = []string{}
	}
	return r, nil
}

// readProblem reads a refusal.
func readProblem(resp *http.Response, data []byte) *Problem {
	p := &Problem{Status: resp.StatusCode, RetryAfter: min(retryafter.Parse(resp.Header), maxRetryAfter)}
	var said mp1.ProblemDetails
	if json.Unmarshal(data, &said) == nil {
		p.Detail, p.limit, p.drained = printable(said.Detail), said.Type == mp1.LimitType, said.Type == mp1.DrainedType
	}
	return p
}

// printable removes control characters and cuts s: it goes to logs and terminals, which a
// platform must not be able to write to as it likes.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // C0, C1, bidirectional controls, U+2028 and U+2029
			return -1
		}
		return r
	}, s)
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail], "")
	}
	return s
}
