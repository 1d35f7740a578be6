package agent

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chassis/openlog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/mp1"
)

// OnStop says what becomes of the services when the agent stops.
type OnStop string

// What can become of them.
const (
	// Deregister removes them from the platform, and consumers are told so.
	Deregister OnStop = "deregister"
	// Leave lets them be: the platform suspends them when their window is over, and
	// an agent that starts meanwhile finds them again.
	Leave OnStop = "leave"
)

// Service is one service that the application offers.
type Service struct {
	// Info is what is registered. Its LivenessInterval is what MEC 011 §8.1.2.2 has: nil,
	// no heartbeats are sent; 0, the platform chooses the interval; else a proposal in
	// seconds.
	Info mp1.ServiceInfo
	// Probe, if not nil, asks the application whether it is well. Nothing is
	// registered before it was well once, and no heartbeat is sent while it is not.
	Probe *Probe
}

// Options of an agent. App, Endpoints and Services are mandatory.
type Options struct {
	App string // appInstanceId: 1 to 128 letters, digits, dots, underscores, hyphens
	// Endpoints are URLs of one platform, such as http://127.0.0.1:30100. The next one
	// is used when one does not answer.
	Endpoints []string
	Prefix    string // of every path: "" or, behind EdgeGallery's gateway, "/mep"
	Services  []Service

	// Transport carries the requests; NewTransport makes one. nil: the system's roots.
	Transport http.RoundTripper
	// Token brings the bearer token of every request. nil: none is sent.
	Token TokenSource
	// Timeout of one request to one endpoint. 0: 5 s. A heartbeat waits less when its
	// interval is so short that the other endpoints could not be tried within it.
	Timeout time.Duration

	OnStop OnStop // "": Deregister
	// StateFile, if not empty, keeps which registrations are ours. Without it an agent
	// that starts anew finds them by their name, version and endpoint.
	StateFile string

	Log     openlog.Logger        // nil: nothing is logged
	Metrics prometheus.Registerer // nil: nothing is measured
}

const (
	defaultTimeout = 5 * time.Second
	maxServices    = 10000
)

// check completes the options, or says all that is wrong with them.
func (o *Options) check() error {
	var all []error
	if !mp1.ValidID(o.App) {
		all = append(all, errors.New("option App must be "+mp1.IDForm))
	}
	if len(o.Endpoints) == 0 {
		all = append(all, errors.New("option Endpoints must name at least one URL"))
	}
	if len(o.Services) == 0 || len(o.Services) > maxServices {
		all = append(all, fmt.Errorf("option Services must be 1 to %d, not %d", maxServices, len(o.Services)))
	}
	for i, s := range o.Services {
		if s.Probe != nil && s.Probe.Check == nil {
			all = append(all, fmt.Errorf("option Services[%d].Probe must have a Check", i))
		}
	}
	switch o.OnStop {
	case "":
		o.OnStop = Deregister
	case Deregister, Leave:
	default:
		all = append(all, fmt.Errorf("option OnStop must be %q or %q", Deregister, Leave))
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Timeout < 0 {
		all = append(all, errors.New("option Timeout must not be negative"))
	}
	return errors.Join(all...)
}
