package client

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What a refusal says, for errors.Is. A [*Problem] may be more than one of them.
var (
	ErrInvalid      = errors.New("mp1 client: the request is not valid")            // 400, 413, 415 and 422: Detail says which member, and which rule
	ErrUnauthorized = errors.New("mp1 client: the token is missing or refused")     // 401
	ErrForbidden    = errors.New("mp1 client: the application may not do this")     // 403
	ErrNotFound     = errors.New("mp1 client: the platform does not have it")       // 404 and 410: register again
	ErrConflict     = errors.New("mp1 client: the state of it does not allow this") // 409, such as a heartbeat of an INACTIVE service
	ErrDrained      = errors.New("mp1 client: an operator has drained the service") // an ErrConflict too: Detail says who and why; it is not to be registered again
	ErrStale        = errors.New("mp1 client: somebody else has changed it")        // 412: read it, and decide again
	ErrLimit        = errors.New("mp1 client: the application has or does as much as it may")
	ErrUnavailable  = errors.New("mp1 client: the platform cannot do this now") // 502, 503, 504 and 507: Problem.RetryAfter says when to ask again
)

// ErrTooLarge is the error of an answer, or of an entry of a list, that is larger than
// 512 KiB, and of a list that is larger than 256 MiB and not read one by one.
var ErrTooLarge = errors.New("mp1 client: the answer is too large")

var errUnreadable = errors.New("mp1 client: the answer is not what MEC 011 has")

// kinds are the errors that a status is.
var kinds = map[int]error{
	http.StatusBadRequest:            ErrInvalid,
	http.StatusUnauthorized:          ErrUnauthorized,
	http.StatusForbidden:             ErrForbidden,
	http.StatusNotFound:              ErrNotFound,
	http.StatusConflict:              ErrConflict,
	http.StatusGone:                  ErrNotFound,
	http.StatusPreconditionFailed:    ErrStale,
	http.StatusRequestEntityTooLarge: ErrInvalid,
	http.StatusUnsupportedMediaType:  ErrInvalid,
	http.StatusUnprocessableEntity:   ErrInvalid,
	http.StatusTooManyRequests:       ErrLimit,
	http.StatusBadGateway:            ErrUnavailable,
	http.StatusServiceUnavailable:    ErrUnavailable,
	http.StatusGatewayTimeout:        ErrUnavailable,
	http.StatusInsufficientStorage:   ErrUnavailable,
}

// Problem is the error of a request that the platform answered with another status than
// MEC 011 has for success. errors.Is tells what it is: [ErrNotFound] and the others. What to
// do at each is the table in docs/application-developers.md, "Errors and limits".
type Problem struct {
	Status     int           // the HTTP status
	Detail     string        // of the ProblemDetails (RFC 9457), at most 512 bytes without control characters; may be ""
	RetryAfter time.Duration // how long the platform asks to wait, at most a day; 0 if it does not
	limit      bool          // its type is mp1.LimitType
	drained    bool          // its type is mp1.DrainedType
}

// Error implements error.
func (p *Problem) Error() string {
	text := "mp1: " + strings.TrimSpace(strconv.Itoa(p.Status)+" "+http.StatusText(p.Status))
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	return text
}

// Is makes errors.Is true for what the status says, and for ErrLimit and ErrDrained if the platform
// names the problem so.
func (p *Problem) Is(target error) bool {
	kind := kinds[p.Status]
	return kind != nil && target == kind || p.limit && target == ErrLimit || p.drained && target == ErrDrained
}
