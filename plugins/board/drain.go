package board

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// drainPath is the pattern at which administrators drain and undrain a service, on the public port
// and on the admin socket.
const drainPath = mp1.LivenessBase + "/services/{serInstanceId}/drain"

// maxDrain is the largest request to drain that is read, in bytes: every character escaped.
const maxDrain = 4 << 10

// drains takes services out of use and gives them back.
type drains struct {
	ready func() bool
	drain func(context.Context, heartbeat.ID, heartbeat.DrainRequest) (heartbeat.Record, error)
	show  func(context.Context, string) (any, error) // the state of a service
}

// setUpDrains serves draining.
func setUpDrains(h *plugins.Host) (func(context.Context) error, error) {
	if h.Engine == nil || h.Services == nil {
		return nil, errors.New("there are no services to drain; liveness and servicemgmt must come first")
	}
	d := drains{ready: h.Ready, drain: h.Engine.Drain, show: shownBy(h.Engine, h.Services)}
	for _, r := range []struct {
		method, name string
		handler      http.Handler
	}{
		{"PUT ", "mep.PutDrain", d.handler(false)},
		{"DELETE ", "mep.DeleteDrain", d.handler(true)},
		{"", "mep.MethodNotAllowed", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			server.RefuseMethod(w, http.MethodPut, http.MethodDelete)
		})},
	} {
		h.OnAdmin(plugins.AdminRoute{Pattern: r.method + drainPath, Handler: r.handler})
		for _, prefix := range []string{"", "/mep"} {
			h.Base.Handle(r.method+prefix+drainPath, r.name, server.Administrating, r.handler)
		}
	}
	return nil, nil
}

func (d drains) handler(lift bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown, err := d.carryOut(w, r, lift)
		if err != nil {
			server.RefuseError(w, err, 1)
			return
		}
		server.WriteJSON(w, http.StatusOK, shown)
	})
}

func (d drains) carryOut(w http.ResponseWriter, r *http.Request, lift bool) (any, error) {
	id := r.PathValue("serInstanceId")
	switch {
	case !d.ready():
		return nil, heartbeat.ErrNotReady
	case !mp1.ValidID(id):
		return nil, heartbeat.ErrNotFound
	}
	if err := mp1.NoParameters(r.URL.RawQuery); err != nil {
		return nil, err
	}
	request := heartbeat.DrainRequest{Lift: lift, By: administrator(r.Context())}
	if !lift {
		body, err := server.ReadBody(w, r, maxDrain)
		if err != nil {
			return nil, err
		}
		asked, err := mp1.DecodeDrainRequest(body)
		if err != nil {
			return nil, err
		}
		request.Reason = asked.Reason
	}
	if _, err := d.drain(r.Context(), heartbeat.ID(id), request); err != nil {
		return nil, err
	}
	return d.show(r.Context(), id)
}

// administrator names who asks, to the application that is refused, and to whoever looks.
func administrator(ctx context.Context) string {
	name := ""
	if c := plugins.CallerOf(ctx); c != nil {
		name = c.Name
	}
	return cmp.Or(name, "administrator")
}

// shown is a service as an administrator sees it who drains or undrains it.
type shown struct {
	SerInstanceID string    `json:"serInstanceId"`
	SerName       string    `json:"serName"`
	AppInstanceID string    `json:"appInstanceId"`
	State         string    `json:"state"`
	Reason        string    `json:"reason"`
	Cause         mp1.Cause `json:"cause"`
	Drained       bool      `json:"drained"`
}

func shownBy(e *heartbeat.Engine, r server.Registry) func(context.Context, string) (any, error) {
	return func(ctx context.Context, id string) (any, error) {
		svc, err := r.Service(ctx, id)
		if err != nil {
			return nil, err
		}
		s, err := e.Get(ctx, heartbeat.ID(id))
		if err != nil {
			return nil, err
		}
		rec, why := &s.Record, plugins.CauseOf(&s.Record)
		return shown{SerInstanceID: id, SerName: svc.Info.SerName, AppInstanceID: rec.Owner, State: rec.State.Shown().String(), Reason: why.Sentence(), Cause: why,
			Drained: rec.State.Drained()}, nil
	}
}
