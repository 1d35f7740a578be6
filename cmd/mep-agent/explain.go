package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// The settings that name whom a connection leads to.
const inEndpoints, inTokenURL = "platform.endpoints", "identity.tokenURL"

const speaksTLS = "does it speak TLS, so that it must be https://?"

// explainConnection says why a step of a connection failed, and what to do. setting is the one
// that names its server.
func explainConnection(err error, setting string) (why, hint string) {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     *net.OpError
		dns       *net.DNSError
	)
	switch why = err.Error(); {
	case errors.As(err, &authority):
		hint = "platform.caFile must name the PEM file of the authority that signed it"
	case errors.As(err, &name):
		if hint = "use the name that it has in " + setting; setting == inEndpoints {
			hint += ", or set platform.serverName"
		}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		hint = "it is to be renewed, or one of the two clocks is wrong"
	case errors.As(err, &record):
		hint = "it speaks no TLS: is it http://?"
	case errors.As(err, &alert) && alert.Op == "remote error": // crypto/tls has no type for them
		hint = alertHint(alert.Err.Error())
	case errors.As(err, &dns):
		why, hint = "no address for "+dns.Name+": "+dns.Err, "is the host of "+setting+" right?"
	}
	return why, hint
}

// alertHint says what to do at an alert of TLS by which a server ends the handshake.
func alertHint(alert string) string {
	switch alert {
	case "tls: unknown certificate authority":
		return "the platform's server.tls.clientCAFile does not hold the CA of platform.certFile"
	case "tls: expired certificate":
		return "platform.certFile is to be renewed, or one of the two clocks is wrong"
	}
	return "the platform refused: does it want platform.certFile?"
}

// explainedError is the error of a request for a token, and what to do.
type explainedError struct {
	err  error
	hint string
}

// Error implements error.
func (e *explainedError) Error() string { return e.err.Error() + "; " + e.hint }

// Unwrap lets errors.Is and errors.As see the error.
func (e *explainedError) Unwrap() error { return e.err }

// explainToken adds to the error of a token server what to do, if that is known.
func explainToken(err error, tokenURL string) error {
	var answer *agent.TokenServerError
	var hint string
	if errors.As(err, &answer) {
		hint = tokenHint(answer, tokenURL)
	} else {
		_, hint = explainConnection(err, inTokenURL)
	}
	if hint == "" {
		return err
	}
	return &explainedError{err, hint}
}

// tokenHint says what to do at an answer of a token server that is an error.
func tokenHint(e *agent.TokenServerError, tokenURL string) string {
	switch {
	case e.Code == "invalid_client":
		return "identity.clientId or the secret is wrong, or was rotated or removed"
	case e.Code == "invalid_scope":
		return "identity.scopes must be of the client's: the platform's own knows the roles of the credential"
	case e.Code != "":
	case e.Status == http.StatusBadRequest && strings.HasPrefix(tokenURL, "http:"):
		return speaksTLS
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusNotFound, e.Status == http.StatusMethodNotAllowed:
		return "is identity.tokenURL right? the platform's own ends in /oauth2/token"
	case e.Status >= 300 && e.Status < 400:
		return "redirects are not followed: name the URL itself in identity.tokenURL"
	}
	return ""
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
		f.Detail, f.Hint = explainConnection(u.Err, inEndpoints)
	default:
		f.Detail, f.Hint = explainConnection(err, inEndpoints)
	}
	return f
}

// statusHint says what to do at an answer that is an error.
func statusHint(p *client.Problem, c conf.Agent, endpoint string) string {
	switch p.Status {
	case http.StatusUnauthorized:
		switch shown := c.Platform.CertFile != ""; {
		case c.Identity.Kind != conf.Anonymous && shown:
			return "the platform refuses the token, or the certificate names another application"
		case c.Identity.Kind != conf.Anonymous:
			return "the platform refuses the token"
		case shown: // unless the server asked for none, which nobody here can see
			return "the certificate names no application there (identity.certificate.pattern), or the platform asks for none (server.tls.clientCAFile)"
		}
		return "the platform wants to know who asks: set identity"
	case http.StatusForbidden:
		return "this identity may not act for application " + c.Application.ID
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "Mp1 is not served there: is platform.prefix right?"
	case http.StatusBadRequest:
		if strings.HasPrefix(endpoint, "http:") && p.Detail == "" {
			return speaksTLS
		}
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "the platform does not serve now; a running agent would try again"
	}
	if p.Status >= 300 && p.Status < 400 {
		return "redirects are not followed: name the URL itself in platform.endpoints"
	}
	return ""
}
