package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// endpointReport is what became of one endpoint.
type endpointReport struct {
	findings []finding
	planned  []agent.Planned // nil: it could not be asked
}

// reachEndpoint has the agent of one endpoint list the application's services, and records each
// step of its connection.
func reachEndpoint(ctx context.Context, c conf.Agent, asking *agent.Agent, endpoint string) endpointReport {
	t := &connectionTrace{endpoint: endpoint}
	if proxy := proxyOf(endpoint); proxy != "" {
		t.steps = append(t.steps, finding{endpoint, "proxy", good, proxy + ", by the environment", ""})
	}
	planned, err := asking.Plan(httptrace.WithClientTrace(ctx, t.hooks()))
	steps, connected := t.finish(c.Platform.Timeout)
	report := endpointReport{steps, planned}
	switch {
	case err == nil:
		report.planned = append([]agent.Planned{}, planned...)
		report.findings = append(steps, finding{endpoint, "Mp1", good, fmt.Sprintf("lists %s of %s", servicesOf(listed(planned)), c.Application.ID), ""})
	case connected:
		report.findings = append(steps, explain(err, c, endpoint, "Mp1"))
	case !failed(steps): // no connection, and no step that says why
		report.findings = append(steps, explain(err, c, endpoint, "TCP"))
	}
	return report
}

// listed counts the registrations among what is planned.
func listed(all []agent.Planned) (n int) {
	for _, p := range all {
		if p.ID != "" {
			n++
		}
	}
	return n
}

func failed(steps []finding) bool {
	for _, s := range steps {
		if s.Result == bad {
			return true
		}
	}
	return false
}

// proxyOf is the host of the proxy that the environment has for an endpoint, "" for none. Its
// user and password are not shown.
func proxyOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	if err != nil || proxy == nil {
		return ""
	}
	return proxy.Host
}

// connectionTrace records the steps of a connection: net/http calls its hooks, some of them
// from other goroutines, and even after the request is over.
type connectionTrace struct {
	endpoint string

	mu        sync.Mutex
	steps     []finding
	connected bool
}

// set records the outcome of a step, or its start if the result is "". A host may have several
// addresses: one that takes the connection is enough.
func (t *connectionTrace) set(f finding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.Subject = t.endpoint
	for i, s := range t.steps {
		if s.Check != f.Check {
			continue
		}
		if s.Result != good && f.Result != "" {
			t.steps[i] = f
		}
		return
	}
	t.steps = append(t.steps, f)
}

// start records that a step has begun, and done that it has ended.
func (t *connectionTrace) start(check string) { t.set(finding{Check: check}) }

func (t *connectionTrace) done(check string, err error, detail string) {
	f := finding{Check: check, Result: good, Detail: detail}
	if err != nil {
		f.Result = bad
		f.Detail, f.Hint = explainConnection(err)
	}
	t.set(f)
}

// hooks are what net/http calls.
func (t *connectionTrace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { t.start("DNS") },
		DNSDone: func(i httptrace.DNSDoneInfo) {
			var addresses []string
			for _, a := range i.Addrs {
				addresses = append(addresses, a.String())
			}
			t.done("DNS", i.Err, strings.Join(addresses, ", "))
		},
		ConnectStart:      func(_, _ string) { t.start("TCP") },
		ConnectDone:       func(_, address string, err error) { t.done("TCP", err, address) },
		TLSHandshakeStart: func() { t.start("TLS") },
		TLSHandshakeDone:  func(s tls.ConnectionState, err error) { t.done("TLS", err, describeTLS(s)) },
		GotConn: func(i httptrace.GotConnInfo) {
			if i.Reused { // one of another endpoint, or that the token was fetched by
				t.done("TCP", nil, i.Conn.RemoteAddr().String())
			}
			t.mu.Lock()
			t.connected = true
			t.mu.Unlock()
		},
	}
}

// finish returns the steps, and whether there was a connection. What has begun and not ended had no
// answer within the timeout.
func (t *connectionTrace) finish(timeout time.Duration) (steps []finding, connected bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.steps {
		if s.Result == "" {
			s.Result, s.Detail = bad, "no answer within "+timeout.String()
		}
		steps = append(steps, s)
	}
	return steps, t.connected
}

// describeTLS says who the platform proved to be.
func describeTLS(s tls.ConnectionState) string {
	text := tls.VersionName(s.Version)
	if len(s.PeerCertificates) > 0 {
		leaf := s.PeerCertificates[0]
		text += fmt.Sprintf(", certificate of %s until %s", leaf.Subject, leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	return text
}

// explainConnection says why a step of the connection failed, and what to do.
func explainConnection(err error) (why, hint string) {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		dns       *net.DNSError
	)
	switch why = err.Error(); {
	case errors.As(err, &authority):
		hint = "platform.caFile must name the PEM file of the authority that signed it"
	case errors.As(err, &name):
		hint = "use the name that it has in platform.endpoints, or set platform.serverName"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		hint = "it is to be renewed, or one of the two clocks is wrong"
	case errors.As(err, &record):
		hint = "it speaks no TLS: is it http://?"
	case errors.As(err, &alert):
		hint = "the platform refused: does it want platform.certFile?"
	case errors.As(err, &dns):
		why, hint = "no address for "+dns.Name+": "+dns.Err, "is the host of platform.endpoints right?"
	}
	return why, hint
}

// explain is the finding of a request that failed: why, and what to do.
func explain(err error, c conf.Agent, endpoint, check string) finding {
	f := finding{Subject: endpoint, Check: check, Result: bad}
	var (
		p *client.Problem
		u *url.Error
	)
	switch {
	case errors.As(err, &p):
		f.Detail, f.Hint = strings.TrimSpace(strconv.Itoa(p.Status)+" "+http.StatusText(p.Status)), statusHint(p, c, endpoint)
		if p.Detail != "" {
			f.Detail += ": " + p.Detail
		}
	case errors.Is(err, context.DeadlineExceeded):
		f.Detail, f.Hint = "no answer within "+c.Platform.Timeout.String(), "platform.timeout is how long it may take"
	case errors.As(err, &u): // its text has the URL
		f.Detail, f.Hint = explainConnection(u.Err)
	default:
		f.Detail, f.Hint = explainConnection(err)
	}
	return f
}

// statusHint says what to do at an answer that is an error.
func statusHint(p *client.Problem, c conf.Agent, endpoint string) string {
	switch p.Status {
	case http.StatusUnauthorized:
		if c.Identity.Kind == conf.Anonymous {
			return "the platform wants to know who asks: set identity"
		}
		return "the platform refuses the token"
	case http.StatusForbidden:
		return "this identity may not act for application " + c.Application.ID
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "Mp1 is not served there: is platform.prefix right?"
	case http.StatusBadRequest:
		if strings.HasPrefix(endpoint, "http:") && p.Detail == "" {
			return "does it speak TLS, so that it must be https://?"
		}
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "the platform does not serve now; a running agent would try again"
	}
	if p.Status >= 300 && p.Status < 400 {
		return "redirects are not followed: name the URL itself in platform.endpoints"
	}
	return ""
}
