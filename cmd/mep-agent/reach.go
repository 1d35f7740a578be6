package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
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
// step of its connection. unproved says that it has no token though it should: what the
// platform then refuses says nothing of the token.
func reachEndpoint(ctx context.Context, c conf.Agent, asking *agent.Agent, endpoint string, unproved bool) endpointReport {
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
	case connected && unproved && errors.Is(err, client.ErrUnauthorized):
		report.findings = append(steps, finding{endpoint, "Mp1", skipped, "not tried: there is no token", ""})
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
		f.Detail, f.Hint = explainConnection(err, inEndpoints)
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
