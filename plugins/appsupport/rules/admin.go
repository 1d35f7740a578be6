package rules

import (
	"context"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// Path is the pattern at which the platform's side defines the rules of an application, on the
// public port and on the admin socket.
const Path = "/mec_liveness/v1/applications/{appInstanceId}/rules"

// maxDefinition is the largest definition that is read, in bytes.
const maxDefinition = maxSize

// administration serves the rules to administrators.
type administration struct {
	*keeper
	report   *driverReport
	admitted func(ctx context.Context, app string) (bool, error)
	ready    func() bool
}

func (a administration) serve(h *plugins.Host) {
	for _, r := range []struct {
		pattern, name string
		access        server.Access
		handle        http.Handler
	}{
		{"GET " + Path, "mep.GetRules", server.Reading, a.handler(a.show)},
		{"PUT " + Path, "mep.PutRules", server.Administrating, a.handler(a.define)},
		{Path, "mep.MethodNotAllowed", server.Reading, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			server.RefuseMethod(w, http.MethodGet, http.MethodHead, http.MethodPut)
		})},
	} {
		h.Base.Handle(r.pattern, r.name, r.access, r.handle)
		h.Base.Handle(plugins.UnderMep(r.pattern), r.name, r.access, r.handle)
		h.OnAdmin(plugins.AdminRoute{Pattern: r.pattern, Handler: r.handle})
	}
}

// shownRules is the answer to an administrator.
type shownRules struct {
	AppInstanceID string         `json:"appInstanceId"`
	DNSRules      []shownDNS     `json:"dnsRules"`
	TrafficRules  []shownTraffic `json:"trafficRules"`
	// Removing are names of former rules that the driver has not confirmed to be gone.
	Removing []removing  `json:"removing"`
	Driver   shownDriver `json:"driver"`
}

// shownOutcome is what came of a rule: State of the rule is the state that it has, WantedState the
// one that is wanted.
type shownOutcome struct {
	WantedState mp1.RuleState `json:"wantedState"`
	Reason      string        `json:"reason,omitempty"`
	Time        string        `json:"time"`
}

type shownDNS struct {
	mp1.DNSRule
	shownOutcome
}

type shownTraffic struct {
	mp1.TrafficRule
	shownOutcome
}

type removing struct {
	DomainName    string            `json:"domainName"`
	IPAddressType mp1.IPAddressType `json:"ipAddressType"`
}

// shownDriver says how the driver for DNS rules is, as this replica knows it.
type shownDriver struct {
	DNS    string `json:"dns"`
	Reason string `json:"reason,omitempty"` // of its last failure, while it fails
	Since  string `json:"since,omitempty"`
}

func timeText(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339) }

func (a administration) view(r *plugins.Rules) shownRules {
	out := shownRules{AppInstanceID: r.App, DNSRules: []shownDNS{}, TrafficRules: []shownTraffic{}, Removing: []removing{}, Driver: shownDriver{DNS: a.driver}}
	for i := range r.DNS {
		one := &r.DNS[i]
		out.DNSRules = append(out.DNSRules, shownDNS{shown(one, a.driver), shownOutcome{one.Rule.State, one.Outcome.Reason, timeText(one.Outcome.Time)}})
	}
	for i := range r.Traffic {
		one := &r.Traffic[i]
		out.TrafficRules = append(out.TrafficRules, shownTraffic{one.Rule, shownOutcome{one.Rule.State, "", timeText(one.Outcome.Time)}})
	}
	for _, n := range r.Removed {
		out.Removing = append(out.Removing, removing{n.Name, n.Type})
	}
	if since, reason := a.report.failure(); reason != "" {
		out.Driver.Reason, out.Driver.Since = reason, since.UTC().Format(time.RFC3339)
	}
	return out
}

// handler makes the checks of both methods.
func (a administration) handler(do func(w http.ResponseWriter, r *http.Request, app string) (plugins.Rules, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rules, err := a.checked(w, r, do)
		if err != nil {
			server.RefuseError(w, err, 1)
			return
		}
		server.WriteJSON(w, http.StatusOK, a.view(&rules))
	})
}

func (a administration) checked(w http.ResponseWriter, r *http.Request, do func(w http.ResponseWriter, r *http.Request, app string) (plugins.Rules, error)) (plugins.Rules, error) {
	app := r.PathValue("appInstanceId")
	switch {
	case !a.ready():
		return plugins.Rules{}, heartbeat.ErrNotReady
	case !mp1.ValidID(app):
		return plugins.Rules{}, server.ErrUnknownApplication
	}
	if err := mp1.NoParameters(r.URL.RawQuery); err != nil {
		return plugins.Rules{}, err
	}
	switch admitted, err := a.admitted(r.Context(), app); {
	case err != nil:
		return plugins.Rules{}, err
	case !admitted:
		return plugins.Rules{}, server.ErrUnknownApplication
	}
	return do(w, r, app)
}

func (a administration) show(_ http.ResponseWriter, r *http.Request, app string) (plugins.Rules, error) {
	return a.find(r.Context(), app, func(r *plugins.Rules) bool { return r.At != 0 })
}

func (a administration) define(w http.ResponseWriter, r *http.Request, app string) (plugins.Rules, error) {
	body, err := server.ReadBody(w, r, maxDefinition)
	if err != nil {
		return plugins.Rules{}, err
	}
	s, err := mp1.DecodeRuleSet(body)
	if err != nil {
		return plugins.Rules{}, err
	}
	return a.Define(r.Context(), app, s)
}
