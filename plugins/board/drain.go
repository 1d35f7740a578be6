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
	"github.com/mec-liveness/mepserver/plugins/board/state"
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
	show  func(context.Context, string) (*state.Detail, error)
}

// setUpDrains serves draining.
func setUpDrains(h *plugins.Host) (func(context.Context) error, error) {
	if h.Engine == nil || h.Services == nil {
		return nil, errors.New("there are no services to drain; liveness and servicemgmt must come first")
	}
	d := drains{ready: h.Ready, drain: h.Engine.Drain, show: state.New(h).Detail}
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
		for _, prefix := range []string{"", plugins.MepPrefix} {
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

func (d drains) carryOut(w http.ResponseWriter, r *http.Request, lift bool) (*state.Detail, error) {
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
