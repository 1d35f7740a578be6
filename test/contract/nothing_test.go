package contract

import (
	"context"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// nothing is a platform whose store answers every call with one error: what clients
// are told then is hard to provoke from outside, at every route at once.
type nothing struct{ err error }

// everything are the options with which all routes are there.
func everything(n nothing) server.Options {
	return server.Options{Subscriptions: n, TerminationSubscriptions: n, Registrations: n, Timing: n, Rules: n}
}

func (n nothing) Ready() bool                                    { return true }
func (n nothing) Admitted(context.Context, string) (bool, error) { return true, nil }
func (n nothing) Register(context.Context, server.Caller, mp1.ServiceInfo) (*server.Service, error) {
	return nil, n.err
}

// Service is found, so that what follows is reached.
func (n nothing) Service(context.Context, string) (*server.Service, error) {
	return server.NewService("app", mp1.ServiceInfo{SerInstanceID: "id", SerName: "n", Version: "1", State: mp1.Active, Serializer: "JSON"}, 5), nil
}

func (n nothing) Update(context.Context, server.Caller, string, mp1.ServiceInfo, server.Condition) (*server.Service, error) {
	return nil, n.err
}
func (n nothing) Remove(context.Context, server.Caller, string, server.Condition) error { return n.err }
func (n nothing) Discover(context.Context, mp1.Filter) ([]*server.Service, error) {
	return nil, n.err
}

func (n nothing) OfApplication(context.Context, string, mp1.Filter) ([]*server.Service, error) {
	return nil, n.err
}
func (n nothing) Producer(context.Context, string) (string, error) { return "app", nil }
func (n nothing) Beats(_ context.Context, _ string, beats []mp1.HeartbeatOf, answer func(int, int, error)) {
	for i := range beats {
		answer(i, 0, n.err)
	}
}
func (n nothing) Beat(context.Context, string, string) (server.Liveness, bool, error) {
	return server.Liveness{}, false, n.err
}

func (n nothing) Liveness(context.Context, string) (server.Liveness, error) {
	return server.Liveness{}, n.err
}

func (n nothing) Subscribe(context.Context, string, string, mp1.Subscription) (*server.Subscription, error) {
	return nil, n.err
}

func (n nothing) Subscription(context.Context, string, string) (*server.Subscription, error) {
	return &server.Subscription{ID: "id", Owner: "app"}, nil
}

func (n nothing) Connect(http.ResponseWriter, *http.Request, string, string) error { return n.err }

func (n nothing) SubscriptionsOf(context.Context, string) ([]*server.Subscription, error) {
	return nil, n.err
}
func (n nothing) Unsubscribe(context.Context, string, string) error { return n.err }

func (n nothing) RegisterApplication(_ context.Context, i mp1.AppInfo) (mp1.AppInfo, error) {
	return i, n.err
}
func (n nothing) Registration(context.Context, string) (mp1.AppInfo, error) {
	return mp1.AppInfo{AppName: "n", AppInstanceID: "app"}, nil
}

func (n nothing) UpdateApplication(context.Context, string, mp1.AppInfo, func(mp1.AppInfo) bool) error {
	return n.err
}

func (n nothing) ConfirmReady(context.Context, string) error { return n.err }
func (n nothing) BeginTermination(context.Context, string, uint32, func(mp1.AppInfo) bool) error {
	return n.err
}
func (n nothing) ConfirmTermination(context.Context, string, mp1.OperationAction) error {
	return n.err
}

func (n nothing) DeregisterApplication(context.Context, string, func(mp1.AppInfo) bool) error {
	return n.err
}

// nothingLeft is a limit that refuses everything that it is asked about.
type nothingLeft struct{}

func (nothingLeft) Write(context.Context, string, string, int64) time.Duration {
	return time.Second / 2
}
func (nothingLeft) Bytes(context.Context, string, string, int64) time.Duration {
	return time.Second / 2
}
func (nothingLeft) Listed(context.Context, string, int64)      {}
func (nothingLeft) List(context.Context, string) time.Duration { return time.Second / 2 }

func (n nothing) CurrentTime() mp1.CurrentTime { return mp1.CurrentTime{} }
func (n nothing) TimingCaps() mp1.TimingCaps   { return mp1.TimingCaps{} }

// A rule is found, so that what follows is reached.
func (n nothing) DNSRules(context.Context, string) ([]mp1.DNSRule, error) { return nil, n.err }
func (n nothing) DNSRule(context.Context, string, string) (mp1.DNSRule, error) {
	return mp1.DNSRule{DNSRuleID: "id", IPAddressType: mp1.IPv4, State: mp1.RuleInactive}, nil
}

func (n nothing) UpdateDNSRule(context.Context, string, string, mp1.DNSRuleUpdate, func(mp1.DNSRule) bool) (r mp1.DNSRule, err error) {
	return r, n.err
}

func (n nothing) TrafficRules(context.Context, string) ([]mp1.TrafficRule, error) { return nil, n.err }
func (n nothing) TrafficRule(context.Context, string, string) (mp1.TrafficRule, error) {
	return mp1.TrafficRule{TrafficRuleID: "id", FilterType: mp1.FilterFlow, TrafficFilter: []mp1.TrafficFilter{{}}, Action: mp1.ActionDrop, State: mp1.RuleInactive}, nil
}

func (n nothing) UpdateTrafficRule(context.Context, string, string, mp1.TrafficRuleUpdate, func(mp1.TrafficRule) bool) (r mp1.TrafficRule, err error) {
	return r, n.err
}
