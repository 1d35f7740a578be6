package server

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// The types of JSON in answers. RFC 8259 has no charset; EdgeGallery's platform says it, and
// older HTTP libraries of its applications guess another one where none is said.
const (
	jsonType            = "application/json"
	edgeGalleryJSONType = "application/json; charset=UTF-8"
)

// writeJSON answers with a JSON body.
func (s *api) writeJSON(w http.ResponseWriter, status int, body []byte) {
	writeAs(w, s.jsonType, status, body)
}

func writeAs(w http.ResponseWriter, kind string, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	setSecurityHeaders(h)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// WriteJSON is how the handlers of this package answer with JSON, for those who serve other
// resources. v is plain data.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	writeAs(w, jsonType, status, encodeJSON(v))
}

// encodeJSON is v as JSON and a line feed.
func encodeJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // plain data: cannot happen
		return []byte("null\n")
	}
	return append(b, '\n')
}

// writeService answers with a service and its ETag.
func (s *api) writeService(w http.ResponseWriter, status int, svc *Service, prefix string) {
	rep := svc.represent(prefix)
	w.Header().Set("ETag", rep.etag)
	s.writeJSON(w, status, append(rep.body[:len(rep.body):len(rep.body)], '\n'))
}

// parseQuery reads the query of a list of services.
func (s *api) parseQuery(r *http.Request) (mp1.Filter, error) {
	if s.options.EdgeGallery {
		return mp1.ParseQuery(mp1.CompleteQuery(r.URL.RawQuery))
	}
	return mp1.ParseQuery(r.URL.RawQuery)
}

// discover lists the services that consumers see (§8.2.3.3.1).
func (s *api) discover(w http.ResponseWriter, r *http.Request, t target) error {
	f, err := s.parseQuery(r)
	if err != nil {
		return err
	}
	found, err := s.registry.Discover(r.Context(), f)
	if err != nil {
		return err
	}
	return s.writeServices(w, r, found, t.prefix)
}

// listOwnServices lists the services of an application (§8.2.6.3.1).
func (s *api) listOwnServices(w http.ResponseWriter, r *http.Request, t target) error {
	f, err := s.parseQuery(r)
	if err != nil {
		return err
	}
	found, err := s.registry.OfApplication(r.Context(), t.app, f)
	if err != nil {
		return err
	}
	return s.writeServices(w, r, found, t.prefix)
}

// getService shows any service (§8.2.4.3.1).
func (s *api) getService(w http.ResponseWriter, r *http.Request, t target) error {
	svc, err := s.registry.Service(r.Context(), t.service)
	if err != nil {
		return err
	}
	s.writeService(w, http.StatusOK, svc, t.prefix)
	return nil
}

// ownService returns the service in the path if it is of the application in the path.
func (s *api) ownService(r *http.Request, t target) (*Service, error) {
	svc, err := s.registry.Service(r.Context(), t.service)
	if err != nil {
		return nil, err
	}
	if svc.Owner != t.app {
		return nil, heartbeat.ErrNotOwner
	}
	return svc, nil
}

// getOwnService shows a service to its owner (§8.2.7.3.1).
func (s *api) getOwnService(w http.ResponseWriter, r *http.Request, t target) error {
	svc, err := s.ownService(r, t)
	if err != nil {
		return err
	}
	s.writeService(w, http.StatusOK, svc, t.prefix)
	return nil
}

// registerService registers a service (§8.2.6.3.4).
func (s *api) registerService(w http.ResponseWriter, r *http.Request, t target) error {
	by, err := callerOf(r, t)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, s.options.MaxBody)
	if err != nil {
		return err
	}
	label := ""
	if s.options.EdgeGallery {
		label, body = mp1.TransportIDOf(body), mp1.CompleteRegistration(body)
	}
	info, err := mp1.DecodeServiceInfo(body)
	if err != nil {
		return err
	}
	info.TransportID = label
	svc, err := s.registry.Register(r.Context(), by, info)
	if err != nil {
		return err
	}
	w.Header().Set("Location", svc.href(t.prefix))
	s.writeService(w, http.StatusCreated, svc, t.prefix)
	return nil
}

// updateService replaces a registration (§8.2.7.3.2). If-Match is evaluated after the other
// checks (RFC 9110 §13.2.1), by the registry: the service may change until then.
func (s *api) updateService(w http.ResponseWriter, r *http.Request, t target) error {
	if _, err := s.ownService(r, t); err != nil {
		return err
	}
	by, err := callerOf(r, t)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, s.options.MaxBody)
	if err != nil {
		return err
	}
	label := ""
	if s.options.EdgeGallery {
		label, body = mp1.TransportIDOf(body), mp1.CompleteUpdate(body)
	}
	info, err := mp1.DecodeUpdate(body)
	if err != nil {
		return err
	}
	info.TransportID = label
	svc, err := s.registry.Update(r.Context(), by, t.service, info, serviceCondition(r, t.prefix))
	if err != nil {
		return err
	}
	s.writeService(w, http.StatusOK, svc, t.prefix)
	return nil
}

// removeService deregisters a service (§8.2.7.3.5).
func (s *api) removeService(w http.ResponseWriter, r *http.Request, t target) error {
	if _, err := s.ownService(r, t); err != nil {
		return err
	}
	by, err := callerOf(r, t)
	if err != nil {
		return err
	}
	if err := s.registry.Remove(r.Context(), by, t.service, serviceCondition(r, t.prefix)); err != nil {
		return err
	}
	writeNoContent(w)
	return nil
}

// serviceCondition is the condition of If-Match for representations under the prefix, or
// nil if it was not sent.
func serviceCondition(r *http.Request, prefix string) Condition {
	values := r.Header["If-Match"]
	if len(values) == 0 {
		return nil
	}
	return func(s *Service) bool { return ifMatch(values, s.represent(prefix).etag) }
}

// getTransports lists the transports of the platform (§8.2.5.3.1).
func (s *api) getTransports(w http.ResponseWriter, _ *http.Request, _ target) error {
	s.writeJSON(w, http.StatusOK, s.transports)
	return nil
}

// checkProducer checks that the service exists and that its heartbeats must come from the
// application in the path.
func (s *api) checkProducer(r *http.Request, t target) error {
	app, err := s.registry.Producer(r.Context(), t.service)
	if err != nil {
		return err
	}
	if app != t.app {
		return heartbeat.ErrNotOwner
	}
	return nil
}

// getLiveness shows the liveness resource (§8.2.10.3.1).
func (s *api) getLiveness(w http.ResponseWriter, r *http.Request, t target) error {
	if err := s.checkProducer(r, t); err != nil {
		return err
	}
	l, err := s.registry.Liveness(r.Context(), t.service)
	if err != nil {
		return err
	}
	if s.options.EdgeGallery { // whose clients have never seen the member
		l.Reason = ""
	}
	s.writeJSON(w, http.StatusOK, encodeJSON(livenessInfo(l)))
	return nil
}

// beat carries out a heartbeat (§8.2.10.3.3). The state of the service is checked last, by
// the registry.
func (s *api) beat(w http.ResponseWriter, r *http.Request, t target) error {
	if err := s.checkProducer(r, t); err != nil {
		return err
	}
	if err := s.readBeat(w, r); err != nil {
		return err
	}
	if v := r.Header["If-Match"]; len(v) > 0 && (len(v) > 1 || strings.TrimSpace(v[0]) != "*") {
		return heartbeat.ErrStale // the liveness resource has no ETag that could match
	}
	agent, _ := agentOf(r) // a malformed one is refused only where it would count for long
	l, changed, err := s.registry.Beat(r.Context(), t.service, agent)
	switch {
	case err != nil:
		return err
	case changed:
		l.Reason = "" // whoever beats asks for an interval
		s.writeJSON(w, http.StatusOK, encodeJSON(livenessInfo(l)))
	default:
		// This is the most frequent answer, so it has no headers that it does not need: no
		// cache stores an answer to PATCH (RFC 9110 §9.2.3), and there is no type to guess.
		w.WriteHeader(http.StatusNoContent)
	}
	return nil
}
