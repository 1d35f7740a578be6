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
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/retryafter"
)

const (
	maxAnswer = 64 << 10
	maxList   = 8 << 20
	maxDetail = 512
	// maxRetryAfter bounds what a platform may ask for: a day.
	maxRetryAfter = 24 * time.Hour
)

// Problem is an answer that says no (RFC 9457), or that is not what MEC 011 has.
type Problem struct {
	Status     int
	Detail     string        // the platform's own words, without control characters; may be empty
	RetryAfter time.Duration // 0: not said
}

func (p *Problem) Error() string {
	text := "mp1: " + strings.TrimSpace(strconv.Itoa(p.Status)+" "+http.StatusText(p.Status))
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	return text
}

var (
	// ErrTooLarge: the answer is larger than Mp1 answers are read.
	ErrTooLarge   = errors.New("mp1 client: the answer is too large")
	errUnreadable = errors.New("mp1 client: the answer is not what MEC 011 has")
)

// request is one call: path and query below the API's root, or a resolved target.
type request struct {
	method, path, query string
	target              *url.URL
	body                []byte
	most                int64 // bytes of the answer
	want                int
	orEmpty             bool // 204 is good too
	repeatable          bool
}

// call sends a request and reads the answer into out. The body is read to its end,
// so that the connection can be used again; one that is too large costs it.
func (c *Client) call(ctx context.Context, q request, out any) error {
	r, err := c.build(ctx, q)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("mp1 client: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	most := q.most
	if resp.StatusCode != q.want {
		most = maxAnswer
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	large := int64(len(data)) > most
	switch {
	case resp.StatusCode == http.StatusNoContent && (q.orEmpty || q.want == http.StatusNoContent):
		return nil
	case resp.StatusCode != q.want:
		return problem(resp, data) // of a broken or endless one, its status is said all the same
	case err != nil:
		return fmt.Errorf("mp1 client: %w", err)
	case large:
		return ErrTooLarge
	case out == nil:
		return nil
	}
	return decode(data, out)
}

// decode reads an answer. A platform whose language has no integers writes 60.0, which
// encoding/json takes for none; it says so only after it has read the rest.
func decode(data []byte, out any) error {
	err := json.Unmarshal(data, out)
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && strings.HasPrefix(kind.Value, "number") {
		err = json.Unmarshal(mp1.PlainNumbers(data), out)
	}
	if err != nil { // its text repeats what was read
		return errUnreadable
	}
	return nil
}

func (c *Client) build(ctx context.Context, q request) (*http.Request, error) {
	target := c.origin.String() + c.root + q.path
	if q.query != "" {
		target += "?" + q.query
	}
	if q.target != nil {
		target = q.target.String()
	}
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("mp1 client: %w", err)
	}
	r.Header.Set("Accept", "application/json, application/problem+json")
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if q.repeatable {
		// net/http repeats a request by itself when a kept connection turns out to be
		// closed, but PATCH only with this; an empty value is not sent.
		r.Header["Idempotency-Key"] = []string{}
	}
	return r, nil
}

// problem reads a refusal. What it says goes to logs, so it is cut and cleaned.
func problem(resp *http.Response, data []byte) *Problem {
	p := &Problem{Status: resp.StatusCode, RetryAfter: min(retryafter.Parse(resp.Header), maxRetryAfter)}
	var said mp1.ProblemDetails
	if json.Unmarshal(data, &said) == nil {
		p.Detail = clean(said.Detail)
	}
	return p
}

func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // C0, C1, bidi controls and U+2028/9 are none
			return -1
		}
		return r
	}, s)
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail], "")
	}
	return s
}
