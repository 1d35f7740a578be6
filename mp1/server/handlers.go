package server

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// answer writes a JSON body.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	setSecurityHeaders(h)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func encodeJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // plain data: cannot happen
		return []byte("null\n")
	}
	return append(b, '\n')
}

func (s *api) writeService(w http.ResponseWriter, status int, svc *Service, prefix string) {
	rep := svc.represent(prefix)
	w.Header().Set("ETag", rep.etag)
	writeJSON(w, status, append(rep.body[:len(rep.body):len(rep.body)], '\n'))
}

// discover is §8.2.3.3.1.
func (s *api) discover(w http.ResponseWriter, r *http.Request, c target) error {
	f, err := mp1.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	found, err := s.registry.Discover(r.Context(), f)
	if err != nil {
		return err
	}
	return s.writeServices(w, r, found, c.prefix)
}

// listOwn is §8.2.6.3.1.
func (s *api) listOwnServices(w http.ResponseWriter, r *http.Request, c target) error {
	f, err := mp1.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	found, err := s.registry.OfApplication(r.Context(), c.app, f)
	if err != nil {
		return err
	}
	return s.writeServices(w, r, found, c.prefix)
}

// getService is §8.2.4.3.1.
func (s *api) getService(w http.ResponseWriter, r *http.Request, c target) error {
	svc, err := s.registry.Service(r.Context(), c.service)
	if err != nil {
		return err
	}
	s.writeService(w, http.StatusOK, svc, c.prefix)
	return nil
}

// own finds a service of the application in the path.
func (s *api) ownService(r *http.Request, c target) (*Service, error) {
	svc, err := s.registry.Service(r.Context(), c.service)
	if err != nil {
		return nil, err
	}
	if svc.Owner != c.app {
		return nil, heartbeat.ErrNotOwner
	}
	return svc, nil
}

// getOwn is §8.2.7.3.1.
func (s *api) getOwnService(w http.ResponseWriter, r *http.Request, c target) error {
	svc, err := s.ownService(r, c)
	if err != nil {
		return err
	}
	s.writeService(w, http.StatusOK, svc, c.prefix)
	return nil
}

// register is §8.2.6.3.4.
func (s *api) registerService(w http.ResponseWriter, r *http.Request, c target) error {
	body, err := readBody(w, r, s.options.MaxBody)
	if err != nil {
		return err
	}
	info, err := mp1.DecodeServiceInfo(body)
	if err != nil {
		return err
	}
	svc, err := s.registry.Register(r.Context(), c.app, info)
	if err != nil {
		return err
	}
	w.Header().Set("Location", svc.href(c.prefix))
	s.writeService(w, http.StatusCreated, svc, c.prefix)
	return nil
}

// update is §8.2.7.3.2. Existence is checked before the owner, the owner before the
// body, the body before If-Match (RFC 9110 §13.2.1).
func (s *api) updateService(w http.ResponseWriter, r *http.Request, c target) error {
	if _, err := s.ownService(r, c); err != nil {
		return err
	}
	body, err := readBody(w, r, s.options.MaxBody)
	if err != nil {
		return err
	}
	info, err := mp1.DecodeUpdate(body)
	if err != nil {
		return err
	}
	svc, err := s.registry.Update(r.Context(), c.app, c.service, info, serviceCondition(r, c.prefix))
	if err != nil {
		return err
	}
	s.writeService(w, http.StatusOK, svc, c.prefix)
	return nil
}

// remove is §8.2.7.3.5.
func (s *api) removeService(w http.ResponseWriter, r *http.Request, c target) error {
	if _, err := s.ownService(r, c); err != nil {
		return err
	}
	if err := s.registry.Remove(r.Context(), c.app, c.service, serviceCondition(r, c.prefix)); err != nil {
		return err
	}
	setSecurityHeaders(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// condition is what If-Match says of a representation under the prefix; nil: it was
// not sent.
func serviceCondition(r *http.Request, prefix string) Condition {
	values := r.Header["If-Match"]
	if len(values) == 0 {
		return nil
	}
	return func(s *Service) bool { return ifMatch(values, s.represent(prefix).etag) }
}

// getTransports is §8.2.5.3.1.
func (s *api) getTransports(w http.ResponseWriter, _ *http.Request, _ target) error {
	writeJSON(w, http.StatusOK, s.transports)
	return nil
}

// producer checks that the service exists and that the application in the path is
// the one that must send its heartbeats.
func (s *api) checkProducer(r *http.Request, c target) error {
	app, err := s.registry.Producer(r.Context(), c.service)
	if err != nil {
		return err
	}
	if app != c.app {
		return heartbeat.ErrNotOwner
	}
	return nil
}

// getLiveness is §8.2.10.3.1.
func (s *api) getLiveness(w http.ResponseWriter, r *http.Request, c target) error {
	if err := s.checkProducer(r, c); err != nil {
		return err
	}
	l, err := s.registry.Liveness(r.Context(), c.service)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, encodeJSON(livenessInfo(l)))
	return nil
}

// beat is §8.2.10.3.3. Existence is checked before the owner, the owner before the
// body, the body before the state.
func (s *api) beat(w http.ResponseWriter, r *http.Request, c target) error {
	if err := s.checkProducer(r, c); err != nil {
		return err
	}
	if err := s.readBeat(w, r); err != nil {
		return err
	}
	if v := r.Header["If-Match"]; len(v) > 0 && (len(v) > 1 || strings.TrimSpace(v[0]) != "*") {
		return heartbeat.ErrStale // the liveness resource has no ETag that could match
	}
	l, told, err := s.registry.Beat(r.Context(), c.service)
	switch {
	case err != nil:
		return err
	case told:
		writeJSON(w, http.StatusOK, encodeJSON(livenessInfo(l)))
	default:
		// Without secure's headers: an answer to PATCH is not stored (RFC 9110 §9.2.3),
		// there is no content to guess at, and this is the answer that there is most of.
		w.WriteHeader(http.StatusNoContent)
	}
	return nil
}
