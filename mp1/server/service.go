// Package server serves ETSI MEC 011 (reference point Mp1) over net/http: its routes, its
// representations, links and ETags, and the HTTP status of every error. It must not know
// who registers services or how they are kept: it asks a [Registry].
//
// [Routes] returns the patterns and handlers, which the caller puts into a mux. What the
// handlers need beside the registry they ask of small interfaces in [Options]; those that
// are nil leave their part out.
//
// A handler checks, in this order, that the platform is ready, the ids in the path, that the
// application is known, the query, the limits, that the resource exists, its owner, the body,
// and If-Match. The first fault is the answer: a ProblemDetails (RFC 9457). Errors of package
// heartbeat and of this package are mapped to HTTP in one table; a caller that refuses
// requests before they reach a handler uses [Refuse], [RefuseError] and [RefuseMethod].
package server

import (
	"context"
	"encoding/json"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Registry is what the handlers need of the platform. Its errors are those of package
// heartbeat.
type Registry interface {
	// Ready reports whether the platform has started. Before, every route answers 503.
	Ready() bool
	// Admitted reports whether the platform knows the application.
	Admitted(ctx context.Context, app string) (bool, error)
	// Register registers a service.
	Register(ctx context.Context, by Caller, info mp1.ServiceInfo) (*Service, error)
	// Service returns a service, whatever its state.
	Service(ctx context.Context, id string) (*Service, error)
	// Update replaces a registration of the caller's application. Without a transport the stored
	// one stays, and without a livenessInterval the interval.
	Update(ctx context.Context, by Caller, id string, info mp1.ServiceInfo, c Condition) (*Service, error)
	// Remove deregisters a service of the caller's application.
	Remove(ctx context.Context, by Caller, id string, c Condition) error
	// Discover returns the services that f selects of those that consumers see.
	Discover(ctx context.Context, f mp1.Filter) ([]*Service, error)
	// OfApplication returns the services of app that f selects, whatever their state.
	OfApplication(ctx context.Context, app string, f mp1.Filter) ([]*Service, error)
	// Producer returns the application that the heartbeats of a service must come from.
	Producer(ctx context.Context, id string) (app string, err error)
	// Beat carries out a heartbeat that an agent sent, "" if it did not say which. If changed,
	// the application does not know l.Interval yet, and the answer must say it.
	Beat(ctx context.Context, id, agent string) (l Liveness, changed bool, err error)
	// Beats carries heartbeats out that one agent sent together, each as Producer and Beat would. It
	// answers each of them, by its place, once and by one goroutine at a time, before it returns;
	// interval is 0 if the application knows it.
	Beats(ctx context.Context, agent string, beats []mp1.HeartbeatOf, answer func(i, interval int, err error))
	// Liveness returns the liveness resource of a service.
	Liveness(ctx context.Context, id string) (Liveness, error)
}

// Caller is who asks for a change.
type Caller struct {
	App string // appInstanceId
	// Agent is the one of its agents that asks, as PLACE.RUN (see [AgentHeader]); "" if it did
	// not say.
	Agent string
	// AtPlace says that only what agents at Agent's place keep alive is to be removed (see
	// [AgentScopeHeader]).
	AtPlace bool
}

// Condition reports whether If-Match accepts a service as it is. A change is made to a
// service that it accepts, or not at all (heartbeat.ErrStale). nil accepts every one.
type Condition func(*Service) bool

// Liveness is the liveness resource of a service.
type Liveness struct {
	State    mp1.State
	At       time.Time // the last heartbeat
	Interval int       // seconds
	Reason   string    // why it is in its state; "": that is not said
}

// Service is an immutable snapshot of a registered service.
type Service struct {
	Owner    string
	ID       string // serInstanceId
	State    mp1.State
	Interval int // seconds; 0: no heartbeats required
	// EdgeGallery says that it is shown to EdgeGallery's clients too
	// (mp1.EdgeGalleryServiceInfo). It must not change once the service is shown.
	EdgeGallery bool
	// Published is where consumers reach the service, in place of the endpoint that it was
	// registered with, or nil. A gateway that stands before the service sets it; answers to a
	// registration or an update have what was registered. It must not change once the service is
	// shown.
	Published func(*Service) *mp1.EndPointInfo

	stored     string // nothing: it was made of info
	written    mp1.Written
	info       atomic.Pointer[mp1.ServiceInfo] // without links; nil: nobody has asked
	plain, mep atomic.Pointer[representation]
}

// representation is a body and its ETag, made when they are first needed.
type representation struct {
	body []byte
	etag string
}

// NewService returns a snapshot. info.SerInstanceID and info.State must be set. interval is
// in seconds; 0 says that no heartbeats are required.
func NewService(owner string, info mp1.ServiceInfo, interval int) *Service {
	s := &Service{Owner: owner, ID: info.SerInstanceID, State: info.State, Interval: interval}
	s.info.Store(&info)
	return s
}

// StoredService returns a snapshot of what is stored: most of what is asked of it is answered
// without reading all of that. Its error says that it cannot be read.
func StoredService(owner, id string, state mp1.State, interval int, stored string) (*Service, error) {
	if w, ok := mp1.ReadWritten(stored); ok {
		return &Service{Owner: owner, ID: id, State: state, Interval: interval, stored: stored, written: w}, nil
	}
	info, err := mp1.ReadStored(stored)
	if err != nil {
		return nil, err
	}
	info.SerInstanceID, info.State = id, state
	return NewService(owner, info, interval), nil
}

// Info describes the service, without links.
func (s *Service) Info() *mp1.ServiceInfo {
	if i := s.info.Load(); i != nil {
		return i
	}
	i, _ := mp1.ReadStored(s.stored) // as it was written: cannot fail
	i.SerInstanceID, i.State = s.ID, s.State
	s.info.CompareAndSwap(nil, &i)
	return s.info.Load()
}

// mepPrefix stands before every path that EdgeGallery's gateway sends.
const mepPrefix = "/mep"

// represent returns the ServiceInfo as JSON, with its links under the prefix. It is encoded
// once for each prefix.
func (s *Service) represent(prefix string) *representation {
	at := &s.plain
	if prefix != "" {
		at = &s.mep
	}
	if r := at.Load(); r != nil {
		return r
	}
	at.CompareAndSwap(nil, s.encoded(prefix))
	return at.Load()
}

// appendTo appends the JSON of the service. It is not kept: who is found by his name alone is
// written as fast as he would be copied.
func (s *Service) appendTo(out []byte, prefix string) []byte {
	if !s.copies() {
		return append(out, s.represent(prefix).body...)
	}
	out = s.written.AppendAnswer(out, s.ID, s.State)
	if s.Interval > 0 {
		out = strconv.AppendInt(append(out, `,"livenessInterval":`...), int64(s.Interval), 10)
	}
	out = s.appendPath(append(out, `,"_links":{"self":{"href":`...), prefix, "")
	if s.Interval > 0 {
		out = s.appendPath(append(out, `,"liveness":`...), mepPrefix, liveness)
		out = s.appendPath(append(out, `},"liveness":{"href":`...), prefix, liveness)
	}
	return append(out, `}}}`...)
}

// copies says whether an answer has what is stored word for word.
func (s *Service) copies() bool {
	return s.stored != "" && !s.EdgeGallery && (s.Published == nil || s.Published(s) == nil)
}

func (s *Service) encoded(prefix string) *representation {
	if s.copies() {
		body := s.appendTo(make([]byte, 0, s.length()), prefix)
		return &representation{body, etagOf(body)}
	}
	info := s.Info().Completed()
	info.LivenessInterval = nil
	if !s.EdgeGallery { // MEC 011 has it in requests only
		info.TransportID = ""
	}
	info.Links = &mp1.ServiceLinks{Self: mp1.SelfLink{Href: s.href(prefix)}}
	if s.Interval > 0 {
		info.LivenessInterval = &s.Interval
		info.Links.Liveness = &mp1.LinkType{Href: s.href(prefix) + liveness}
		info.Links.Self.Liveness = s.href(mepPrefix) + liveness
	}
	r := &representation{body: s.encode(info)}
	r.etag = etagOf(r.body) // of what was registered, so that the answer to that has the same
	if t := info.TransportInfo; t != nil && s.Published != nil {
		if e := s.Published(s); e != nil {
			published := *t
			published.Endpoint, info.TransportInfo = *e, &published
			r.body = s.encode(info)
		}
	}
	return r
}

// length is how long the JSON of a service is at most.
func (s *Service) length() int {
	if !s.copies() {
		return len(s.represent("").body) + len(mepPrefix)*3
	}
	const more = 400 // names of members, and the way to the service
	return len(s.stored) + more + 3*(len(s.Owner)+len(s.ID))
}

// encode is the JSON of the service, with its links.
func (s *Service) encode(info mp1.ServiceInfo) []byte {
	var shown any = info
	if s.EdgeGallery {
		shown = info.ForEdgeGallery(s.Owner)
	}
	body, err := json.Marshal(shown)
	if err != nil { // plain data: cannot happen
		return []byte("{}")
	}
	return body
}

// liveness is behind the path of a service that sends heartbeats.
const liveness = "/liveness"

// href is where the owner finds the service; prefix is "" or mepPrefix.
func (s *Service) href(prefix string) string {
	return prefix + mp1.Base + "/applications/" + s.Owner + "/services/" + s.ID
}

// appendPath appends href as JSON, and what follows in it.
func (s *Service) appendPath(out []byte, prefix, behind string) []byte {
	if !mp1.ValidID(s.Owner) || !mp1.ValidID(s.ID) {
		return mp1.AppendString(out, s.href(prefix)+behind)
	}
	out = append(append(append(out, '"'), prefix...), mp1.Base+"/applications/"...)
	out = append(append(append(out, s.Owner...), "/services/"...), s.ID...)
	return append(append(out, behind...), '"')
}

func livenessInfo(l Liveness) mp1.ServiceLivenessInfo {
	return mp1.ServiceLivenessInfo{State: l.State, Interval: l.Interval, Reason: l.Reason,
		TimeStamp: mp1.TimeStamp{Seconds: uint32(l.At.Unix()), NanoSeconds: uint32(l.At.Nanosecond())}}
}
