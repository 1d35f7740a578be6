package mep

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Base is where the services and the subscriptions of Mp1 begin.
const Base = mp1.Base

// Alive is the body of a heartbeat.
const Alive = `{"state":"ACTIVE"}`

// Info is a ServiceInfo to register; a negative interval leaves livenessInterval out.
func Info(name string, interval int) string {
	more := ""
	if interval >= 0 {
		more = fmt.Sprintf(`,"livenessInterval":%d`, interval)
	}
	return fmt.Sprintf(`{"serName":%q,"version":"1.2.3","state":"ACTIVE","serializer":"JSON","transportInfo":{"id":"t1","name":"REST",
		"type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"uris":["http://10.0.0.5:8080/x"]},"security":{}}%s}`, name, more)
}

// ServicesOf is the path of an application's services.
func ServicesOf(app string) string { return Base + "/applications/" + app + "/services" }

// SubscriptionsOf is the path of an application's subscriptions.
func SubscriptionsOf(app string) string { return Base + "/applications/" + app + "/subscriptions" }

// Service is one registered instance, as its application knows it.
type Service struct {
	Server   *Server // where it was registered
	App, ID  string
	Location string    // its path
	Liveness string    // the path of its heartbeats; "": it has none to send
	Last     time.Time // before its last acknowledged heartbeat was sent, or when it was registered
	Created  Answer    // to its registration
}

// LivenessOf is the path of a service's heartbeats.
func LivenessOf(app, id string) string { return ServicesOf(app) + "/" + id + "/liveness" }

// Register registers a service, which must succeed. interval is as for Info.
func (s *Server) Register(app, name string, interval int) *Service {
	s.t.Helper()
	return s.RegisterInfo(app, Info(name, interval))
}

// RegisterInfo registers a service as this ServiceInfo describes it, which must succeed.
func (s *Server) RegisterInfo(app, info string) *Service {
	s.t.Helper()
	v, err := s.TryRegisterInfo(app, info)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// TryRegister is Register where it may fail.
func (s *Server) TryRegister(app, name string, interval int) (*Service, error) {
	return s.TryRegisterInfo(app, Info(name, interval))
}

// TryRegisterInfo is RegisterInfo where it may fail.
func (s *Server) TryRegisterInfo(app, info string) (*Service, error) {
	at := time.Now()
	a, err := s.Try(http.MethodPost, ServicesOf(app), info)
	if err != nil {
		return nil, err
	}
	var got mp1.ServiceInfo
	if err := json.Unmarshal(a.Body, &got); a.Status != http.StatusCreated || err != nil {
		return nil, fmt.Errorf("a registration was answered %d: %.300s", a.Status, a.Body)
	}
	v := &Service{Server: s, App: app, ID: got.SerInstanceID, Location: a.Header.Get("Location"), Last: at, Created: a}
	if got.Links != nil && got.Links.Liveness != nil {
		v.Liveness = got.Links.Liveness.Href
	}
	return v, nil
}

// Beat sends one heartbeat, which must be acknowledged.
func (v *Service) Beat() Answer {
	v.Server.t.Helper()
	at := time.Now()
	a := v.Server.Do(http.MethodPatch, v.Liveness, Alive)
	if a.Status != http.StatusOK && a.Status != http.StatusNoContent {
		v.Server.t.Fatalf("a heartbeat was answered %d: %s", a.Status, a.Body)
	}
	v.Last = at
	return a
}

// State is that of the service, as Server.State has it.
func (v *Service) State() string { return v.Server.State(v.ID) }

// Discovered is Server.Discovered of the service.
func (v *Service) Discovered() bool {
	v.Server.t.Helper()
	return v.Server.Discovered(v.ID)
}

// Beat sends one heartbeat for a service, wherever that was registered, and returns the
// status; 0: no answer.
func (s *Server) Beat(app, id string) int { return s.BeatWithin(context.Background(), app, id) }

// BeatWithin is Beat that the context may end.
func (s *Server) BeatWithin(ctx context.Context, app, id string) int {
	a, err := s.try(ctx, http.MethodPatch, LivenessOf(app, id), Alive)
	if err != nil {
		return 0
	}
	return a.Status
}

// State is the state of a service; the status, such as "404", where that is not 200; or
// "no answer".
func (s *Server) State(id string) string {
	a, err := s.Try(http.MethodGet, Base+"/services/"+id, "")
	switch {
	case err != nil:
		return "no answer"
	case a.Status != http.StatusOK:
		return strconv.Itoa(a.Status)
	}
	var m struct{ State string }
	_ = json.Unmarshal(a.Body, &m)
	return m.State
}

// Discovered tells whether discovery, which must answer, shows a service.
func (s *Server) Discovered(id string) bool {
	s.t.Helper()
	return len(s.Want(http.StatusOK, http.MethodGet, Base+"/services?ser_instance_id="+id, "").List(s.t)) == 1
}

// Discover returns the ids of all services that discovery shows.
func (s *Server) Discover() (map[string]bool, error) {
	a, err := s.Try(http.MethodGet, Base+"/services", "")
	if err != nil {
		return nil, err
	}
	var list []struct{ SerInstanceID string }
	if err := json.Unmarshal(a.Body, &list); a.Status != http.StatusOK || err != nil {
		return nil, fmt.Errorf("discovery answered %d", a.Status)
	}
	out := make(map[string]bool, len(list))
	for _, service := range list {
		out[service.SerInstanceID] = true
	}
	return out, nil
}

// Subscribe subscribes an application to the changes that filter, a JSON object, selects
// ("": everything), which must succeed, and returns the path of the subscription.
func (s *Server) Subscribe(app, callback, filter string) string {
	s.t.Helper()
	path, err := s.TrySubscribe(app, callback, filter)
	if err != nil {
		s.t.Fatal(err)
	}
	return path
}

// TrySubscribe is Subscribe where it may fail.
func (s *Server) TrySubscribe(app, callback, filter string) (path string, err error) {
	if filter != "" {
		filter = `,"filteringCriteria":` + filter
	}
	a, err := s.Try(http.MethodPost, SubscriptionsOf(app), fmt.Sprintf(`{"subscriptionType":%q,"callbackReference":%q%s}`, mp1.SubscriptionType, callback, filter))
	if err != nil {
		return "", err
	}
	if path = a.Header.Get("Location"); a.Status != http.StatusCreated || path == "" {
		return "", fmt.Errorf("a subscription was answered %d: %.300s", a.Status, a.Body)
	}
	return path, nil
}
