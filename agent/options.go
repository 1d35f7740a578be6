package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/mp1"
)

// OnStop is what becomes of the services when Run ends.
type OnStop string

const (
	// Deregister removes the services from the platform, which notifies consumers. It is the
	// default.
	Deregister OnStop = "deregister"
	// Leave leaves the services registered, without heartbeats. The platform suspends them
	// after a while, unless an agent that starts meanwhile finds them and goes on.
	Leave OnStop = "leave"
)

// Service is one service that the application offers.
type Service struct {
	// Info is what is registered (MEC 011 v3.1.1 §8.1.2.2). Its LivenessInterval decides
	// about heartbeats: nil, none are sent; 0, the platform chooses the interval; any other
	// is a proposal in seconds, and the platform's answer counts.
	Info mp1.ServiceInfo
	// Probe, if it is not nil, holds the registration and the heartbeats back while the
	// application is not well.
	Probe *Probe
	// OwnState says that the state of Info is the application's own word: it overrules an
	// INACTIVE that the platform shows when the agent finds the service or updates it. Without
	// it, the state of Info is a configuration's, and such an INACTIVE stays: the application
	// may have set it itself at the platform.
	OwnState bool
}

// Options configure an agent. App and Endpoints are mandatory.
type Options struct {
	// App is the appInstanceId: 1 to 128 letters, digits, dots, underscores and hyphens, of
	// which the first is a letter or a digit.
	App string
	// Endpoints are the URLs of one platform, such as http://127.0.0.1:30100. The next one is
	// used when one does not answer.
	Endpoints []string
	// Prefix comes before every path: "" or, behind EdgeGallery's gateway, "/mep".
	Prefix string
	// Services are at most 10,000. An application without any only consumes, or adds them later:
	// see Agent.Add.
	Services []Service

	// Transport carries the requests; NewTransport makes one. If it is nil, the agent makes
	// one of the zero TLS.
	Transport http.RoundTripper
	// Token brings the bearer token of every request. If it is nil, none is sent.
	Token TokenSource
	// Timeout of one request to one endpoint. 0: 5 s. A heartbeat is given less if all
	// endpoints could not be tried within its interval otherwise, but at least 250 ms.
	Timeout time.Duration

	// OnStop is Deregister if it is "".
	OnStop OnStop
	// ConfirmReady has the agent tell the platform, once, that the application is up and running
	// (MEC 011 v3.1.1 §7.2.12), as soon as every service is registered and has been heard of.
	ConfirmReady bool
	// OnTermination is IgnoreTermination if it is "".
	OnTermination OnTermination
	// StateFile, if it is not "", is the path of a file in which the agent keeps which
	// registrations are its own and what was registered. An agent that starts without one
	// finds its registrations by name, version and endpoint: one whose version has changed, or
	// host or port of its endpoint, is registered anew then, and the old one is left.
	StateFile string

	// OnChange, if it is not nil, is called for each change of the state of a service, one at a
	// time and in the order of the service's changes, while Run runs. It may call the agent, and
	// holds up nothing but later calls: if more than 1,024 changes wait for it, those of one
	// service are joined. Run waits for it at the end, for up to eight seconds.
	OnChange func(Change)
	// Log takes a line for each change and for the first failure in a row, at the levels Info
	// and Warn. Texts from outside are cut and have no control characters. nil: none.
	Log *slog.Logger
	// Metrics is where the agent registers its metrics, mep_agent_... nil: nowhere. Agents that
	// have one registry are counted together; prometheus.WrapRegistererWith tells them apart.
	Metrics prometheus.Registerer
}

const (
	defaultTimeout = 5 * time.Second
	maxServices    = 10000
)

// check fills in the defaults, and returns an error that joins one for each fault but those of
// the endpoints, which newPlatform returns.
func (o *Options) check() error {
	var all []error
	if !mp1.ValidID(o.App) {
		all = append(all, errors.New("option App must be "+mp1.IDForm))
	}
	if len(o.Endpoints) == 0 {
		all = append(all, errors.New("option Endpoints must name at least one URL"))
	}
	if len(o.Services) > maxServices {
		all = append(all, fmt.Errorf("option Services must be at most %d, not %d", maxServices, len(o.Services)))
	}
	for i, s := range o.Services {
		for _, err := range s.faults() {
			all = append(all, fmt.Errorf("option Services[%d]: %w", i, err))
		}
	}
	switch o.OnStop {
	case "":
		o.OnStop = Deregister
	case Deregister, Leave:
	default:
		all = append(all, fmt.Errorf("option OnStop must be %q or %q", Deregister, Leave))
	}
	switch o.OnTermination {
	case "":
		o.OnTermination = IgnoreTermination
	case IgnoreTermination, ConfirmTermination:
	default:
		all = append(all, fmt.Errorf("option OnTermination must be %q or %q", IgnoreTermination, ConfirmTermination))
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Timeout < 0 {
		all = append(all, errors.New("option Timeout must not be negative"))
	}
	return errors.Join(all...)
}
