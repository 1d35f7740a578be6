package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/mec-liveness/mepserver/mp1"
)

// Registrations is what the handlers need of whoever keeps the registrations of
// applications. Its errors are those below and those of package heartbeat.
type Registrations interface {
	// Enter registers an application; its AppInstanceID may be "", then one is chosen.
	Enter(ctx context.Context, info mp1.AppInfo) (mp1.AppInfo, error)
	Registration(ctx context.Context, app string) (mp1.AppInfo, error)
	// Change replaces a registration that the condition accepts; nil accepts every one.
	Change(ctx context.Context, app string, info mp1.AppInfo, c func(mp1.AppInfo) bool) error
	// Leave removes a registration that the condition accepts, and all that the
	// application has at the platform.
	Leave(ctx context.Context, app string, c func(mp1.AppInfo) bool) error
}

// What Registrations answer.
var (
	ErrNoRegistration = errors.New("the application instance is not registered")
	ErrRegistered     = errors.New("the application instance is registered already")

	ErrTooManyRegistrations = errors.New("the platform has as many registered applications as it may")
)

const (
	allRegistrations = "/registrations"
	oneRegistration  = allRegistrations + "/{appInstanceId}"
)

// registrationRows is the part of the route table that application support has.
func (s *surface) registrationRows() []row {
	if s.options.Registrations == nil {
		return nil
	}
	return []row{
		{allRegistrations, []method{{name: "mp1.PostRegistration", verb: http.MethodPost, do: s.enter}}},
		{oneRegistration, []method{
			{name: "mp1.GetRegistration", verb: http.MethodGet, do: s.getRegistration},
			{name: "mp1.PutRegistration", verb: http.MethodPut, do: s.changeRegistration},
			{name: "mp1.DeleteRegistration", verb: http.MethodDelete, do: s.leave},
		}},
	}
}

func showRegistration(w http.ResponseWriter, status int, info mp1.AppInfo) {
	body := encode(info)
	w.Header().Set("ETag", etagOf(body))
	answer(w, status, body)
}

// accepts is what If-Match says of a registration; nil: it was not sent.
func accepts(r *http.Request) func(mp1.AppInfo) bool {
	values := r.Header["If-Match"]
	if len(values) == 0 {
		return nil
	}
	return func(info mp1.AppInfo) bool { return matches(values, etagOf(encode(info))) }
}

// enter is §7.2.13.3.4.
func (s *surface) enter(w http.ResponseWriter, r *http.Request, c call) error {
	body, err := read(w, r, s.options.MaxBody)
	if err != nil {
		return err
	}
	info, err := mp1.DecodeAppInfo(body)
	if err != nil {
		return err
	}
	if info, err = s.options.Registrations.Enter(r.Context(), info); err != nil {
		return err
	}
	w.Header().Set("Location", c.prefix+mp1.AppSupportBase+allRegistrations+"/"+info.AppInstanceID)
	showRegistration(w, http.StatusCreated, info)
	return nil
}

// getRegistration is §7.2.14.3.1.
func (s *surface) getRegistration(w http.ResponseWriter, r *http.Request, c call) error {
	info, err := s.options.Registrations.Registration(r.Context(), c.app)
	if err != nil {
		return err
	}
	showRegistration(w, http.StatusOK, info)
	return nil
}

// changeRegistration is §7.2.14.3.2. Existence is checked before the body.
func (s *surface) changeRegistration(w http.ResponseWriter, r *http.Request, c call) error {
	if _, err := s.options.Registrations.Registration(r.Context(), c.app); err != nil {
		return err
	}
	body, err := read(w, r, s.options.MaxBody)
	if err != nil {
		return err
	}
	info, err := mp1.DecodeAppInfo(body)
	if err != nil {
		return err
	}
	if info.AppInstanceID != "" && info.AppInstanceID != c.app {
		return &mp1.Invalid{Attribute: "appInstanceId", Rule: "must be that of the URI, or absent"}
	}
	info.AppInstanceID = c.app
	if err := s.options.Registrations.Change(r.Context(), c.app, info, accepts(r)); err != nil {
		return err
	}
	done(w)
	return nil
}

// leave is §7.2.14.3.5.
func (s *surface) leave(w http.ResponseWriter, r *http.Request, c call) error {
	if err := s.options.Registrations.Leave(r.Context(), c.app, accepts(r)); err != nil {
		return err
	}
	done(w)
	return nil
}

// done answers that there is nothing more to say.
func done(w http.ResponseWriter) {
	secure(w.Header())
	w.WriteHeader(http.StatusNoContent)
}
