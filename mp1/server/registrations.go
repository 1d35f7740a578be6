package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/mec-liveness/mepserver/mp1"
)

// Registrations is what the handlers need of whoever keeps the registrations of
// applications. Its errors are ErrNoRegistration, ErrRegistered, ErrTooManyRegistrations,
// ErrTerminating and those of package heartbeat.
type Registrations interface {
	Lifecycle
	// RegisterApplication registers an application and returns its registration. If its
	// AppInstanceID is "", one is chosen.
	RegisterApplication(ctx context.Context, info mp1.AppInfo) (mp1.AppInfo, error)
	// Registration returns the registration of app.
	Registration(ctx context.Context, app string) (mp1.AppInfo, error)
	// UpdateApplication replaces a registration that the condition accepts. nil accepts
	// every one.
	UpdateApplication(ctx context.Context, app string, info mp1.AppInfo, c func(mp1.AppInfo) bool) error
	// DeregisterApplication removes a registration that the condition accepts, and
	// everything that the application has at the platform, at once.
	DeregisterApplication(ctx context.Context, app string, c func(mp1.AppInfo) bool) error
}

// Errors of Registrations.
var (
	ErrNoRegistration = errors.New("the application instance is not registered")
	ErrNoApplication  = errors.New("nothing is kept of the application instance")
	ErrRegistered     = errors.New("the application instance is registered already")

	ErrTooManyRegistrations = errors.New("the platform has as many registered applications as it may")
)

const (
	registrationsPattern = "/registrations"
	registrationPattern  = registrationsPattern + "/{appInstanceId}"
)

// registrationResources is the route table of the application support API.
func (s *api) registrationResources() []resource {
	if s.options.Registrations == nil {
		return nil
	}
	return append(s.lifecycleResources(), []resource{
		{registrationsPattern, []method{{name: "mp1.PostRegistration", verb: http.MethodPost, access: OwnerInBody, handle: s.registerApplication}}},
		{registrationPattern, []method{
			{name: "mp1.GetRegistration", verb: http.MethodGet, access: Owner, handle: s.getRegistration},
			{name: "mp1.PutRegistration", verb: http.MethodPut, access: Owner, handle: s.changeRegistration},
			{name: "mp1.DeleteRegistration", verb: http.MethodDelete, access: Owner, handle: s.deregisterApplication, takesQuery: true},
		}},
	}...)
}

// writeRegistration answers with a registration and its ETag.
func (s *api) writeRegistration(w http.ResponseWriter, status int, info mp1.AppInfo) {
	body := encodeJSON(info)
	w.Header().Set("ETag", etagOf(body))
	s.writeJSON(w, status, body)
}

// registrationCondition is the condition of If-Match, or nil if it was not sent.
func registrationCondition(r *http.Request) func(mp1.AppInfo) bool {
	values := r.Header["If-Match"]
	if len(values) == 0 {
		return nil
	}
	return func(info mp1.AppInfo) bool { return ifMatch(values, etagOf(encodeJSON(info))) }
}

// registerApplication registers an application (§7.2.13.3.4).
func (s *api) registerApplication(w http.ResponseWriter, r *http.Request, t target) error {
	body, err := readBody(w, r, s.options.MaxBody)
	if err != nil {
		return err
	}
	info, err := mp1.DecodeAppInfo(body)
	if err != nil {
		return err
	}
	if may := s.options.MayActFor; may != nil && !may(r.Context(), info.AppInstanceID) {
		return ErrNotYours
	}
	if info, err = s.options.Registrations.RegisterApplication(r.Context(), info); err != nil {
		return err
	}
	w.Header().Set("Location", t.prefix+mp1.AppSupportBase+registrationsPattern+"/"+info.AppInstanceID)
	s.writeRegistration(w, http.StatusCreated, info)
	return nil
}

// getRegistration shows a registration (§7.2.14.3.1).
func (s *api) getRegistration(w http.ResponseWriter, r *http.Request, t target) error {
	info, err := s.options.Registrations.Registration(r.Context(), t.app)
	if err != nil {
		return err
	}
	s.writeRegistration(w, http.StatusOK, info)
	return nil
}

// changeRegistration replaces a registration (§7.2.14.3.2). Existence is checked before the
// body.
func (s *api) changeRegistration(w http.ResponseWriter, r *http.Request, t target) error {
	if _, err := s.options.Registrations.Registration(r.Context(), t.app); err != nil {
		return err
	}
	body, err := readBody(w, r, s.options.MaxBody)
	if err != nil {
		return err
	}
	info, err := mp1.DecodeAppInfo(body)
	if err != nil {
		return err
	}
	if info.AppInstanceID != "" && info.AppInstanceID != t.app {
		return &mp1.Invalid{Attribute: "appInstanceId", Rule: "must be that of the URI, or absent"}
	}
	info.AppInstanceID = t.app
	if err := s.options.Registrations.UpdateApplication(r.Context(), t.app, info, registrationCondition(r)); err != nil {
		return err
	}
	writeNoContent(w)
	return nil
}

// deregisterApplication removes a registration (§7.2.14.3.5). With graceful, the application is
// told before, and this answers at once: nothing says when it will be gone.
func (s *api) deregisterApplication(w http.ResponseWriter, r *http.Request, t target) error {
	graceful, err := mp1.ParseGraceful(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if graceful > 0 {
		if err := s.options.Registrations.BeginTermination(r.Context(), t.app, graceful, registrationCondition(r)); err != nil {
			return err
		}
		setSecurityHeaders(w.Header())
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	if err := s.options.Registrations.DeregisterApplication(r.Context(), t.app, registrationCondition(r)); err != nil {
		return err
	}
	writeNoContent(w)
	return nil
}

// writeNoContent answers with 204.
func writeNoContent(w http.ResponseWriter) {
	setSecurityHeaders(w.Header())
	w.WriteHeader(http.StatusNoContent)
}
