package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/retryafter"
)

// problem is an error with its HTTP status; detail tells the client what to do.
type problem struct {
	status     int
	detail     string
	limit      bool   // of what an application may have: mp1.LimitType
	drained    bool   // mp1.DrainedType
	allow      string // of a 405
	challenge  string // WWW-Authenticate of a 401 or 403 (RFC 6750)
	retryAfter int    // seconds, of a 429, and of a 503 or 507 that asks for longer than Options.RetryAfter
}

// Error implements error.
func (p *problem) Error() string { return p.detail }

// The refusals of callers who do not prove who they are, or may not do what they ask for
// (RFC 6750 §3). They say nothing of what was presented.
var (
	ErrAnonymous  error = &problem{status: http.StatusUnauthorized, detail: "This needs an identity; send a token as Authorization: Bearer, or a client certificate.", challenge: `Bearer realm="mep"`}
	ErrCredential error = &problem{status: http.StatusUnauthorized, detail: "The identity that was presented is not valid (any more); get a new token.", challenge: `Bearer realm="mep", error="invalid_token"`}
	ErrNoKeys     error = &problem{status: http.StatusServiceUnavailable, detail: "The keys that verify tokens could not be had yet; try again."}
	ErrNotYours   error = &problem{status: http.StatusForbidden, detail: "This identity may not act for that application instance.", challenge: `Bearer realm="mep", error="insufficient_scope"`}
	// ErrOtherApplication is EdgeGallery's answer to a header of another application than the path.
	ErrOtherApplication error = &problem{status: http.StatusUnauthorized, detail: "X-AppinstanceID names another application instance than the path; send that of the path.", challenge: `Bearer realm="mep"`}
	ErrPlace            error = &problem{status: http.StatusForbidden, detail: "This is for the platform's own components, which call it at the platform's primary address; call that."}
	ErrRole             error = &problem{status: http.StatusForbidden, detail: "None of the roles of this identity may use this resource.", challenge: `Bearer realm="mep", error="insufficient_scope"`}
)

// ErrNoResource refuses a path at which there is nothing.
var ErrNoResource error = errNoResource

// ErrToken refuses a request for a token that EdgeGallery's gateway would have sent to mepauth.
var ErrToken error = &problem{status: http.StatusNotFound, detail: "Tokens are made by mepauth; send this request through the gateway, as https://gateway:8443/mep/token."}

// ErrUnknownApplication refuses what is about an application that the platform does not know.
var ErrUnknownApplication error = errUnknownApp

// The refusals of what web pages send.
var (
	ErrHost   error = &problem{status: http.StatusMisdirectedRequest, detail: "This server has no TLS and does not answer to that host; it does to localhost, its address and the host of server.advertise."}
	ErrOrigin error = &problem{status: http.StatusForbidden, detail: "A page of another origin may not do this; server.origins names those that may."}
)

// The refusals that the handlers make themselves.
var (
	errNoResource = &problem{status: http.StatusNotFound, detail: "There is no such resource; take URIs from _links."}
	errUnknownApp = &problem{status: http.StatusNotFound, detail: "This appInstanceId is not known to the platform; have it registered first."}
	errMediaType  = &problem{status: http.StatusUnsupportedMediaType, detail: "The body must be JSON; send Content-Type: application/json."}
	errCoding     = &problem{status: http.StatusUnsupportedMediaType, detail: "The body must not be compressed or otherwise coded; remove Content-Encoding."}
	errTooLarge   = &problem{status: http.StatusRequestEntityTooLarge, detail: "The body is larger than this resource takes."}
	errBody       = &problem{status: http.StatusBadRequest, detail: "The body could not be read to its end."}
)

// Drained refuses a heartbeat or a PUT of the owner of a service that an administrator has
// drained.
type Drained struct{ Why mp1.Cause }

// Error implements error.
func (d *Drained) Error() string { return heartbeat.ErrDrained.Error() + ": " + d.Why.Sentence() }

// Unwrap implements the interface of package errors.
func (d *Drained) Unwrap() error { return heartbeat.ErrDrained }

func (d *Drained) problem() *problem {
	return &problem{status: http.StatusConflict, drained: true, detail: "The service instance is " + d.Why.Sentence() +
		". Consumers see it INACTIVE until an administrator undrains it; neither a heartbeat nor a PUT to ACTIVE changes that."}
}

// notAllowed refuses the methods that a resource does not have.
func notAllowed(allow []string) *problem {
	return &problem{status: http.StatusMethodNotAllowed, detail: "This resource does not have that method; Allow lists those it has.", allow: strings.Join(allow, ", ")}
}

// problemTable maps errors to HTTP. No other place does.
var problemTable = []struct {
	err    error
	status int
	detail string
}{
	{heartbeat.ErrNotFound, 404, "There is no such service instance; register it (again)."},
	{heartbeat.ErrNoLiveness, 404, "This service instance has no liveness resource: it was registered without livenessInterval."},
	{heartbeat.ErrNotOwner, 403, "The service instance belongs to another application instance; only that one may do this."},
	{heartbeat.ErrInactive, 409, "The service instance is INACTIVE; a heartbeat does not change that. Set it ACTIVE first."},
	{heartbeat.ErrNotDrained, 409, "The service instance is not drained; there is nothing to undrain."},
	{heartbeat.ErrKept, 409, "Another agent keeps the service instance alive: it stays registered, and this agent no longer counts. There is nothing left to do."},
	{heartbeat.ErrStale, 412, "If-Match: names no current representation; GET it again."},
	{ErrNoRegistration, 404, "This application instance is not registered; register it (again)."},
	{ErrNoApplication, 404, "The platform keeps nothing of this application instance: it neither registered nor said that it is ready, and is not being terminated."},
	{ErrTerminating, 409, "The application instance is being terminated; confirm that, or wait until its time is over. DELETE its registration without graceful to remove it at once."},
	{ErrNotReady, 409, "The application instance is being configured; say that it is ready in a few seconds."},
	{ErrNoTermination, 409, "No termination of the application instance goes on; there is nothing to confirm."},
	{ErrTooManyRegistrations, 403, "The platform has as many registered applications as it may; remove one first."},
	{ErrNoCredential, 404, "There is no such credential."},
	{ErrTooManyCredentials, 403, "The platform has as many credentials as it may; remove one first."},
	{ErrCredentialExists, 409, "id: there is a credential of that id; rotate its secret, or DELETE it first."},
	{ErrRegistered, 409, "appInstanceId: is registered already; change that registration with PUT, or DELETE it first."},
	{ErrNoRule, 404, "The application instance has no such rule; rules are defined by the platform's administrator."},
	{ErrDomainNameTaken, 409, "domainName: another application instance has a rule for this name and type of address; choose another name, or have that rule removed first."},
	{ErrTooManyRules, 403, "The platform has rules of as many application instances as it may; remove those of one first."},
	{ErrTooManyDeployments, 403, "The platform keeps the configurations of as many application instances as it may; DELETE the appd_configuration of one that is no longer needed first."},
	{ErrNotConfigured, 404, "The application instance is not configured; POST its appd_configuration first."},
	{ErrConfiguring, 403, "The application instance is being configured; poll the task until it is no longer PROCESSING."},
	{ErrNoTask, 404, "There is no such task, or it is long over; take the taskId from the answer to the configuration."},
	{heartbeat.ErrOnlyPlatform, 400, "state: must be ACTIVE or INACTIVE; only the platform suspends."},
	{heartbeat.ErrLimit, 403, "The application has as many services as it may; delete one first."},
	{ErrNoSubscription, 404, "The application instance has no such subscription; subscribe (again)."},
	{ErrSubscriptionLimit, 403, "The application has as many subscriptions as it may; delete one first."},
	{heartbeat.ErrFull, 507, "The platform's store is full; what is registered goes on. Try again later."},
	{heartbeat.ErrNotReady, 503, "The platform is starting; try again in a second."},
	{heartbeat.ErrUnavailable, 503, "The platform's store did not confirm in time; try again."},
	{ErrUnread, 503, "Too much of other answers is waiting to be read; try again in a few seconds."},
	{context.DeadlineExceeded, 503, "The platform's store did not confirm in time; try again."},
	{context.Canceled, 503, "The request was given up; try again."},
}

// problemOf returns the problem of an error. An error that is in no table is a 500, whose
// text does not repeat the error: it could name what is inside the platform.
func problemOf(err error, o Options) *problem {
	var p *problem
	var bad *mp1.Invalid
	var large *http.MaxBytesError
	var over *OverLimit
	var drained *Drained
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &bad):
		return &problem{status: http.StatusBadRequest, detail: bad.Error()}
	case errors.As(err, &large):
		return errTooLarge
	case errors.As(err, &drained):
		return drained.problem()
	case errors.As(err, &over) && over.List:
		return &problem{status: http.StatusTooManyRequests, retryAfter: retryafter.Seconds(over.Wait),
			detail: "Too many lists in a short time; wait as long as Retry-After says. Heartbeats and deletions go on."}
	case errors.As(err, &over):
		return &problem{status: http.StatusTooManyRequests, retryAfter: retryafter.Seconds(over.Wait),
			detail: "Too many changes, or too large ones, in a short time; wait as long as Retry-After says. Heartbeats and deletions go on."}
	}
	ofApplication := errors.Is(err, heartbeat.ErrLimit) || errors.Is(err, ErrSubscriptionLimit)
	limit := ofApplication || errors.Is(err, ErrTooManyRegistrations)
	for _, row := range problemTable {
		switch {
		case !errors.Is(err, row.err):
		case ofApplication && o.LimitStatus != 0:
			return &problem{status: o.LimitStatus, detail: row.detail, limit: limit}
		default:
			return &problem{status: row.status, detail: row.detail, limit: limit}
		}
	}
	return &problem{status: http.StatusInternalServerError, detail: "The platform failed on this request; its log says more."}
}

// kind is the type of the problem; "": only its status.
func (p *problem) kind() string {
	switch {
	case p.limit:
		return mp1.LimitType
	case p.drained:
		return mp1.DrainedType
	}
	return ""
}

// write answers with the problem as a ProblemDetails (RFC 9457).
func (p *problem) write(w http.ResponseWriter, o Options) {
	body := p.prepare(w.Header(), o)
	w.WriteHeader(p.status)
	_, _ = w.Write(body)
}

// prepare sets the header of the answer and returns its body.
func (p *problem) prepare(h http.Header, o Options) (body []byte) {
	h.Set("Content-Type", "application/problem+json")
	setSecurityHeaders(h)
	switch p.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		if p.challenge != "" {
			h.Set("WWW-Authenticate", p.challenge)
		}
	case http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		h.Set("Retry-After", strconv.Itoa(max(o.RetryAfter, p.retryAfter, 1)))
	case http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	case http.StatusMethodNotAllowed:
		h.Set("Allow", p.allow)
	}
	b, _ := json.Marshal(mp1.ProblemDetails{Type: cmp.Or(p.kind(), "about:blank"), Title: http.StatusText(p.status), Status: p.status, Detail: p.detail})
	h.Set("Content-Length", strconv.Itoa(len(b)+1))
	return append(b, '\n')
}

// Refuse answers with a ProblemDetails (RFC 9457). It is for those who refuse a request
// before it reaches a handler of this package. retryAfter is in seconds; it stands in a 503
// or 507 only, and is at least 1 there.
func Refuse(w http.ResponseWriter, status int, detail string, retryAfter int) {
	(&problem{status: status, detail: detail}).write(w, Options{RetryAfter: retryAfter})
}

// RefuseError answers with the ProblemDetails with which the handlers of this package answer
// an error. retryAfter is that of Refuse.
func RefuseError(w http.ResponseWriter, err error, retryAfter int) {
	o := Options{RetryAfter: retryAfter}
	problemOf(err, o).write(w, o)
}

// Refusal returns the answer of Refuse as the bytes of an HTTP/1.1 response after which the
// connection is closed. It is for a connection from which no request is read.
func Refusal(status int, detail string, retryAfter int) []byte {
	h := http.Header{}
	body := (&problem{status: status, detail: detail}).prepare(h, Options{RetryAfter: retryAfter})
	var out bytes.Buffer
	answer := http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: h, Close: true,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}
	_ = answer.Write(&out) // to memory: cannot fail
	return out.Bytes()
}

// RefuseMethod answers with 405 and the methods that the resource has.
func RefuseMethod(w http.ResponseWriter, allow ...string) {
	notAllowed(allow).write(w, Options{})
}

// setSecurityHeaders forbids browsers to guess the type of an answer and caches to store
// it. It sets the map itself, because that allocates nothing.
func setSecurityHeaders(h http.Header) {
	h["X-Content-Type-Options"] = noSniff
	h["Cache-Control"] = noStore
}

var noSniff, noStore = []string{"nosniff"}, []string{"no-store"}
