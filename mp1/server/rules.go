package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/mec-liveness/mepserver/mp1"
)

// Rules is what the handlers need of whoever keeps the rules of applications. The state of a
// rule that it returns is what is so, and not what is wanted. Its errors are ErrNoRule,
// ErrDomainNameTaken, *mp1.Invalid and those of package heartbeat.
type Rules interface {
	// DNSRules returns the DNS rules of app, in the order of their definition.
	DNSRules(ctx context.Context, app string) ([]mp1.DNSRule, error)
	// DNSRule returns one of them.
	DNSRule(ctx context.Context, app, id string) (mp1.DNSRule, error)
	// UpdateDNSRule changes one that the condition accepts, and returns it as it is then, which
	// may be before it is in effect. nil accepts every one.
	UpdateDNSRule(ctx context.Context, app, id string, u mp1.DNSRuleUpdate, c func(mp1.DNSRule) bool) (mp1.DNSRule, error)
	// TrafficRules, TrafficRule and UpdateTrafficRule are the same for traffic rules.
	TrafficRules(ctx context.Context, app string) ([]mp1.TrafficRule, error)
	TrafficRule(ctx context.Context, app, id string) (mp1.TrafficRule, error)
	UpdateTrafficRule(ctx context.Context, app, id string, u mp1.TrafficRuleUpdate, c func(mp1.TrafficRule) bool) (mp1.TrafficRule, error)
}

// Errors of Rules.
var (
	ErrNoRule          = errors.New("the application has no such rule")
	ErrDomainNameTaken = errors.New("another application has a rule for this domain name and type of address")
	ErrTooManyRules    = errors.New("the platform has rules of as many applications as it may")
	// ErrTooManyDeployments is of EdgeGallery's configurations and terminations.
	ErrTooManyDeployments = errors.New("the platform keeps as many configurations of applications as it may")
	ErrNotConfigured      = errors.New("the application is not configured")
	ErrConfiguring        = errors.New("the application is being configured")
	ErrNoTask             = errors.New("there is no such task")
)

const (
	dnsRulesPattern     = "/applications/{appInstanceId}/dns_rules"
	dnsRulePattern      = dnsRulesPattern + "/{dnsRuleId}"
	trafficRulesPattern = "/applications/{appInstanceId}/traffic_rules"
	trafficRulePattern  = trafficRulesPattern + "/{trafficRuleId}"
)

// ruleResources is the route table of rules. They are made and removed by the platform's side.
func (s *api) ruleResources() []resource {
	by := s.options.Rules
	if by == nil {
		return nil
	}
	dns := rulesOf[mp1.DNSRule, mp1.DNSRuleUpdate]{s, by.DNSRules, by.DNSRule, by.UpdateDNSRule, mp1.DecodeDNSRuleUpdate, asItIs[mp1.DNSRule]}
	traffic := rulesOf[mp1.TrafficRule, mp1.TrafficRuleUpdate]{s, by.TrafficRules, by.TrafficRule, by.UpdateTrafficRule, mp1.DecodeTrafficRuleUpdate, asItIs[mp1.TrafficRule]}
	if s.options.EdgeGallery {
		traffic.shown = func(r mp1.TrafficRule) any { return r.ForEdgeGallery() }
	}
	return []resource{
		{dnsRulesPattern, []method{{name: "mp1.GetDNSRules", verb: http.MethodGet, access: Owner, handle: dns.list, lists: true}}},
		{dnsRulePattern, []method{
			{name: "mp1.GetDNSRule", verb: http.MethodGet, access: Owner, handle: dns.get},
			{name: "mp1.PutDNSRule", verb: http.MethodPut, access: Owner, handle: dns.put},
		}},
		{trafficRulesPattern, []method{{name: "mp1.GetTrafficRules", verb: http.MethodGet, access: Owner, handle: traffic.list, lists: true}}},
		{trafficRulePattern, []method{
			{name: "mp1.GetTrafficRule", verb: http.MethodGet, access: Owner, handle: traffic.get},
			{name: "mp1.PutTrafficRule", verb: http.MethodPut, access: Owner, handle: traffic.put},
		}},
	}
}

// rulesOf handles the rules of one kind.
type rulesOf[R, U any] struct {
	api    *api
	all    func(ctx context.Context, app string) ([]R, error)
	one    func(ctx context.Context, app, id string) (R, error)
	update func(ctx context.Context, app, id string, u U, c func(R) bool) (R, error)
	decode func([]byte) (U, error)
	shown  func(R) any // a rule as it is answered
}

func asItIs[R any](rule R) any { return rule }

// list lists the rules of an application (§7.2.7.3.1, §7.2.9.3.1).
func (h rulesOf[R, U]) list(w http.ResponseWriter, r *http.Request, t target) error {
	all, err := h.all(r.Context(), t.app)
	if err != nil {
		return err
	}
	out := make([]any, len(all))
	for i, one := range all {
		out[i] = h.shown(one)
	}
	h.api.writeJSON(w, http.StatusOK, encodeJSON(out))
	return nil
}

// get shows a rule (§7.2.8.3.1, §7.2.10.3.1).
func (h rulesOf[R, U]) get(w http.ResponseWriter, r *http.Request, t target) error {
	one, err := h.one(r.Context(), t.app, t.rule)
	if err != nil {
		return err
	}
	h.api.writeRule(w, h.shown(one))
	return nil
}

// put changes a rule (§7.2.8.3.2, §7.2.10.3.2). Existence is checked before the body, and
// If-Match after both (RFC 9110 §13.2.1).
func (h rulesOf[R, U]) put(w http.ResponseWriter, r *http.Request, t target) error {
	if _, err := h.one(r.Context(), t.app, t.rule); err != nil {
		return err
	}
	body, err := readBody(w, r, h.api.options.MaxBody)
	if err != nil {
		return err
	}
	u, err := h.decode(body)
	if err != nil {
		return err
	}
	var condition func(R) bool
	if values := r.Header["If-Match"]; len(values) > 0 {
		condition = func(now R) bool { return ifMatch(values, etagOf(encodeJSON(h.shown(now)))) }
	}
	one, err := h.update(r.Context(), t.app, t.rule, u, condition)
	if err != nil {
		return err
	}
	h.api.writeRule(w, h.shown(one))
	return nil
}

// writeRule answers with a rule and its ETag.
func (s *api) writeRule(w http.ResponseWriter, rule any) {
	body := encodeJSON(rule)
	w.Header().Set("ETag", etagOf(body))
	s.writeJSON(w, http.StatusOK, body)
}
