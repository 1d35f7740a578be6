// Package server serves Mp1 over net/http: one route table, one table of problems,
// representations and links. It must not know what registers services or keeps
// them: it asks a Registry.
package server

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Registry is what the handlers need of the platform. Its errors are those of
// package heartbeat.
type Registry interface {
	// Ready: before it, every route answers 503.
	Ready() bool
	// Admitted says whether the platform knows the application.
	Admitted(ctx context.Context, app string) (bool, error)
	Register(ctx context.Context, app string, info mp1.ServiceInfo) (*Service, error)
	// Service finds an instance, whatever its state.
	Service(ctx context.Context, id string) (*Service, error)
	// Update replaces what the application registered; without a transport the
	// stored one stays, without a proposal the interval.
	Update(ctx context.Context, app, id string, info mp1.ServiceInfo, c Condition) (*Service, error)
	Remove(ctx context.Context, app, id string, c Condition) error
	// Discover is what a consumer sees.
	Discover(ctx context.Context, f mp1.Filter) ([]*Service, error)
	// OfApplication is what the owner sees.
	OfApplication(ctx context.Context, app string, f mp1.Filter) ([]*Service, error)
	// Producer is the application that a heartbeat must come from.
	Producer(ctx context.Context, id string) (app string, err error)
	// Beat carries a heartbeat through; told: the application must be told l.Interval.
	Beat(ctx context.Context, id string) (l Liveness, told bool, err error)
	Liveness(ctx context.Context, id string) (Liveness, error)
}

// Condition is what If-Match says of a picture. A change is made to a picture that
// it accepts, or not at all (heartbeat.ErrStale); nil accepts every one.
type Condition func(*Service) bool

// Liveness is the liveness resource of an instance.
type Liveness struct {
	State    mp1.State
	At       time.Time // the last heartbeat
	Interval int       // seconds
}

// Service is an immutable picture of one registered instance.
type Service struct {
	Owner    string
	Info     mp1.ServiceInfo // without links
	Interval int             // seconds; 0: no heartbeats required

	plain, mep representation
}

type representation struct {
	once sync.Once
	body []byte
	etag string
}

// NewService makes the picture; info.SerInstanceID and State are set.
func NewService(owner string, info mp1.ServiceInfo, interval int) *Service {
	return &Service{Owner: owner, Info: info, Interval: interval}
}

// mepPrefix is the alias of everything that EdgeGallery's gateway sends.
const mepPrefix = "/mep"

// represent is the ServiceInfo as JSON with its links under the prefix, made once.
func (s *Service) represent(prefix string) *representation {
	r := &s.plain
	if prefix != "" {
		r = &s.mep
	}
	r.once.Do(func() {
		info := s.Info.Completed()
		info.TransportID, info.LivenessInterval = "", nil
		info.Links = &mp1.ServiceLinks{Self: mp1.SelfLink{Href: s.href(prefix)}}
		if s.Interval > 0 {
			info.LivenessInterval = &s.Interval
			info.Links.Liveness = &mp1.LinkType{Href: s.href(prefix) + "/liveness"}
			info.Links.Self.Liveness = s.href(mepPrefix) + "/liveness"
		}
		body, err := json.Marshal(info)
		if err != nil { // plain data: cannot happen
			body = []byte("{}")
		}
		r.body, r.etag = body, etagOf(body)
	})
	return r
}

func (s *Service) href(prefix string) string {
	return prefix + mp1.Base + "/applications/" + s.Owner + "/services/" + s.Info.SerInstanceID
}

func livenessInfo(l Liveness) mp1.ServiceLivenessInfo {
	return mp1.ServiceLivenessInfo{State: l.State, Interval: l.Interval,
		TimeStamp: mp1.TimeStamp{Seconds: uint32(l.At.Unix()), NanoSeconds: uint32(l.At.Nanosecond())}}
}
