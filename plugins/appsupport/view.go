package appsupport

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	viewPath = mp1.LivenessBase + "/applications"
	// maxPage is the most applications of one answer, and how many it has unless limit says less.
	maxPage = 1000
	// stamp is RFC 3339, in milliseconds.
	stamp = "2006-01-02T15:04:05.000Z07:00"
)

// shown is an application as administrators see it.
type shown struct {
	AppInstanceID string            `json:"appInstanceId"`
	Registered    bool              `json:"registered"`
	AppName       string            `json:"appName,omitempty"`
	Ready         string            `json:"ready,omitempty"` // when it said so last
	Termination   *shownTermination `json:"termination,omitempty"`
	Leaving       bool              `json:"leaving"` // it is being removed
}

// shownTermination is a termination that goes on, or that ended in a removal which goes on.
type shownTermination struct {
	OperationAction mp1.OperationAction `json:"operationAction"`
	Begun           string              `json:"begun"`
	Ends            string              `json:"ends"` // if the application does not confirm before
	Confirmed       bool                `json:"confirmed"`
}

func show(a plugins.Application) shown {
	at := func(ns int64) string { return time.Unix(0, ns).UTC().Format(stamp) }
	s := shown{AppInstanceID: a.Info.AppInstanceID, Registered: !a.Unregistered, AppName: a.Info.AppName, Leaving: a.Leaving}
	if a.ReadyAt != 0 {
		s.Ready = at(a.ReadyAt)
	}
	if t := a.Termination; t != nil {
		s.Termination = &shownTermination{t.Action, at(t.Begun), at(t.Begun + int64(t.Timeout)*int64(time.Second)), t.Confirmed}
	}
	return s
}

// view shows administrators the applications of which the platform keeps something.
type view struct{ d *directory }

type viewRoute struct {
	pattern, name string
	handler       http.Handler
}

func (v view) routes() []viewRoute {
	const one = viewPath + "/{appInstanceId}"
	get := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		server.RefuseMethod(w, http.MethodGet, http.MethodHead)
	})
	return []viewRoute{
		{"GET " + viewPath, "mep.GetApplications", jsonHandler(v.all)},
		{"GET " + one, "mep.GetApplication", jsonHandler(v.one)},
		{viewPath, "mep.MethodNotAllowed", get},
		{one, "mep.MethodNotAllowed", get},
	}
}

// jsonHandler returns the body of a 200, which is sent as JSON, or the error to refuse with.
type jsonHandler func(r *http.Request) (any, error)

// ServeHTTP implements http.Handler.
func (f jsonHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := f(r)
	if err != nil {
		server.RefuseError(w, err, 1)
		return
	}
	server.WriteJSON(w, http.StatusOK, body)
}

// page is a part of the list, ordered by appInstanceId.
type page struct {
	Applications []shown `json:"applications"`
	Next         string  `json:"next,omitempty"` // after, for the next page; absent: this is the last
}

func (v view) all(r *http.Request) (any, error) {
	limit, after, err := pageOf(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	p := page{Applications: []shown{}}
	for _, a := range v.d.kept() {
		if a.Info.AppInstanceID <= after {
			continue
		}
		if len(p.Applications) == limit {
			p.Next = p.Applications[limit-1].AppInstanceID
			break
		}
		p.Applications = append(p.Applications, show(a))
	}
	return p, nil
}

// pageOf reads the query of the list: limit, and after which application the page begins.
func pageOf(raw string) (limit int, after string, err error) {
	limit = maxPage
	q, err := url.ParseQuery(raw)
	if err != nil {
		return 0, "", &mp1.Invalid{Attribute: "query", Rule: "must be a query of a URI"}
	}
	for name, values := range q {
		switch {
		case len(values) > 1:
			return 0, "", &mp1.Invalid{Attribute: "query", Rule: "each parameter must be given once"}
		case name == "after":
			after, err = values[0], mp1.CheckID("after", values[0])
		case name == "limit":
			if limit, err = strconv.Atoi(values[0]); err != nil || limit < 1 || limit > maxPage {
				err = &mp1.Invalid{Attribute: "limit", Rule: "must be a whole number from 1 to 1000"}
			}
		default:
			err = &mp1.Invalid{Attribute: "query", Rule: "this resource takes limit and after, and no other parameter"}
		}
		if err != nil {
			return 0, "", err
		}
	}
	return limit, after, nil
}

// kept is all that is kept of applications, by appInstanceId.
func (d *directory) kept() (out []plugins.Application) {
	d.mu.Lock()
	for _, e := range d.apps {
		if !e.erased {
			out = append(out, e.Application)
		}
	}
	d.mu.Unlock()
	slices.SortFunc(out, func(a, b plugins.Application) int { return cmp.Compare(a.Info.AppInstanceID, b.Info.AppInstanceID) })
	return out
}

func (v view) one(r *http.Request) (any, error) {
	app := r.PathValue("appInstanceId")
	if err := mp1.NoParameters(r.URL.RawQuery); err != nil {
		return nil, err
	}
	if !mp1.ValidID(app) {
		return nil, server.ErrNoApplication
	}
	// From the store, so that whoever asks another replica than he changed something at sees it.
	a, err := v.d.store.Application(r.Context(), app)
	switch {
	case err != nil:
		return nil, heartbeat.ErrUnavailable
	case a.Info.AppInstanceID == "": // there is none, or none that can be read
		return nil, server.ErrNoApplication
	}
	return show(a), nil
}
