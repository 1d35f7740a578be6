package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/mec-liveness/mepserver/mp1"
)

// Lifecycle is what the handlers need of whoever knows how far applications are in their
// lives.
type Lifecycle interface {
	// ConfirmReady keeps that the application says now that it is ready. ErrTerminating: it is
	// being terminated or removed.
	ConfirmReady(ctx context.Context, app string) error
	// BeginTermination has the application told that it will be removed when it confirms that,
	// or after timeout seconds. The condition is that of Registrations. ErrNoRegistration: the
	// platform has nothing of it; ErrTerminating: it was told already.
	BeginTermination(ctx context.Context, app string, timeout uint32, c func(mp1.AppInfo) bool) error
	// ConfirmTermination ends the time that the application has: it is removed, behind the
	// answer. ErrNoTermination: none goes on; *mp1.Invalid: it was told another action.
	ConfirmTermination(ctx context.Context, app string, action mp1.OperationAction) error
}

// Errors of Lifecycle.
var (
	ErrTerminating   = errors.New("the application instance is being terminated")
	ErrNoTermination = errors.New("no termination of the application instance goes on")
	// ErrNotReady is of an application that is being configured: EdgeGallery's applications ask
	// again after 5 s.
	ErrNotReady = errors.New("the application instance is being configured and cannot be ready yet")
)

const (
	confirmReadyPattern       = "/applications/{appInstanceId}/confirm_ready"
	confirmTerminationPattern = "/applications/{appInstanceId}/confirm_termination"
)

// lifecycleResources are the resources by which an application answers the platform.
func (s *api) lifecycleResources() []resource {
	return []resource{
		{confirmReadyPattern, []method{{name: "mp1.ConfirmReady", verb: http.MethodPost, access: Owner, handle: s.confirmReady}}},
		{confirmTerminationPattern, []method{{name: "mp1.ConfirmTermination", verb: http.MethodPost, access: Owner, handle: s.confirmTermination}}},
	}
}

// confirmReady keeps that an application is up and running (§7.2.12.3.4).
func (s *api) confirmReady(w http.ResponseWriter, r *http.Request, t target) error {
	body, err := readBody(w, r, s.options.MaxBody)
	if err != nil {
		return err
	}
	if err := mp1.DecodeReadyConfirmation(body); err != nil {
		return err
	}
	if s.options.Configuring != nil && s.options.Configuring(t.app) {
		return ErrNotReady
	}
	if err := s.options.Registrations.ConfirmReady(r.Context(), t.app); err != nil {
		return err
	}
	writeNoContent(w)
	return nil
}

// confirmTermination ends the time in which an application was to finish (§7.2.11.3.4).
func (s *api) confirmTermination(w http.ResponseWriter, r *http.Request, t target) error {
	body, err := readBody(w, r, s.options.MaxBody)
	if err != nil {
		return err
	}
	action, err := mp1.DecodeTerminationConfirmation(body)
	if err != nil {
		return err
	}
	if err := s.options.Registrations.ConfirmTermination(r.Context(), t.app, action); err != nil {
		return err
	}
	writeNoContent(w)
	return nil
}
