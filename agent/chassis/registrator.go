package chassis

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/go-chassis/go-chassis/v2/core/registry"
	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/mp1"
)

// registrationTimeout is how long go-chassis waits for the platform to register its
// instance. It asks again after that, and the agent goes on meanwhile.
const registrationTimeout = 5 * time.Second

var (
	errNotRegistered = errors.New("the platform has not registered the service yet")
	errUnknown       = errors.New("no such microservice was registered by this application")
	errSchemas       = errors.New("schemas have no place in Mp1")
)

// registrator implements registry.Registrator: what go-chassis calls a microservice and its
// instance is one service at the platform. Heartbeats are the agent's.
type registrator struct {
	settings settings
	fault    error // of the settings
	options  Options

	mu    sync.Mutex
	known map[string]*registered // by the ServiceID that go-chassis was told
}

// registered is one microservice, and its instance if it has one.
type registered struct {
	service  registry.MicroService
	instance *registry.MicroServiceInstance
	keeper   *keeper // nil as long as nothing is offered
}

func newRegistrator(o Options, r registry.Options, from source) *registrator {
	s, err := readSettings(o, r, from)
	return &registrator{settings: s, fault: err, options: o, known: map[string]*registered{}}
}

// RegisterService implements registry.Registrator. It asks the platform nothing, so that an
// application starts without its platform.
func (r *registrator) RegisterService(m *registry.MicroService) (string, error) {
	if r.fault != nil {
		return "", r.fault
	}
	if m == nil {
		return "", errUnknown
	}
	if err := mp1.CheckID("servicecomb.service.app, the appInstanceId,", m.AppID); err != nil {
		return "", err
	}
	id := serviceID(m.AppID, m.ServiceName, m.Version)
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.known[id]; known != nil {
		known.service = *m
	} else {
		r.known[id] = &registered{service: *m}
	}
	return id, nil
}

// RegisterServiceInstance implements registry.Registrator. It has the agent register the
// instance, or change its registration, and returns the id that the platform gave it. If the
// platform does not do so in time it returns an error, and the agent goes on.
func (r *registrator) RegisterServiceInstance(id string, i *registry.MicroServiceInstance) (string, error) {
	if i == nil {
		return "", errUnknown
	}
	k, err := r.offer(id, func(known *registered) { known.instance = i })
	if err != nil {
		return "", err
	}
	if k == nil { // it offers nothing
		return id, nil
	}
	return k.id(registrationTimeout)
}

// offer changes what is known of an instance and has the agent keep that. It returns nil if
// nothing is offered.
func (r *registrator) offer(id string, change func(*registered)) (*keeper, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.known[id]
	if known == nil {
		return nil, errUnknown
	}
	change(known)
	if known.instance == nil {
		return nil, errUnknown
	}
	info, ok := describe(&known.service, known.instance, r.settings.interval)
	if !ok {
		openlog.Info("the application has no protocols: it offers no service, and is not registered")
		return nil, nil
	}
	if known.keeper != nil {
		return known.keeper, known.keeper.update(info)
	}
	k, err := keep(r.settings, r.options, known.service.AppID, info)
	known.keeper = k
	return k, err
}

// RegisterServiceAndInstance implements registry.Registrator.
func (r *registrator) RegisterServiceAndInstance(m *registry.MicroService, i *registry.MicroServiceInstance) (service, instance string, err error) {
	if service, err = r.RegisterService(m); err != nil {
		return "", "", err
	}
	instance, err = r.RegisterServiceInstance(service, i)
	return service, instance, err
}

// Heartbeat implements registry.Registrator. It sends nothing, and never fails: the agent
// sends the heartbeats and registers again what the platform has lost, and go-chassis must
// not do so beside it.
func (r *registrator) Heartbeat(string, string) (bool, error) { return true, nil }

// WSHeartbeat implements registry.Registrator, as Heartbeat does.
func (r *registrator) WSHeartbeat(string, string, func()) (bool, error) { return true, nil }

// UnRegisterMicroServiceInstance implements registry.Registrator. It removes the service from
// the platform, whatever id it was given since it was registered first.
func (r *registrator) UnRegisterMicroServiceInstance(id, _ string) error {
	r.mu.Lock()
	known := r.known[id]
	if known == nil {
		r.mu.Unlock()
		return errUnknown
	}
	k := known.keeper
	known.keeper, known.instance = nil, nil
	r.mu.Unlock()
	if k == nil {
		return nil
	}
	return k.stop()
}

// UpdateMicroServiceInstanceStatus implements registry.Registrator.
func (r *registrator) UpdateMicroServiceInstanceStatus(id, _, status string) error {
	_, err := r.offer(id, func(known *registered) {
		if known.instance != nil {
			i := *known.instance
			i.Status = status
			known.instance = &i
		}
	})
	return err
}

// UpdateMicroServiceInstanceProperties implements registry.Registrator.
func (r *registrator) UpdateMicroServiceInstanceProperties(id, _ string, properties map[string]string) error {
	_, err := r.offer(id, func(known *registered) {
		if known.instance != nil {
			i := *known.instance
			i.Metadata = maps.Clone(properties)
			known.instance = &i
		}
	})
	return err
}

// UpdateMicroServiceProperties implements registry.Registrator. They are kept for who asks
// this application: Mp1 has no microservices beside their instances.
func (r *registrator) UpdateMicroServiceProperties(id string, properties map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.known[id]
	if known == nil {
		return errUnknown
	}
	known.service.Metadata = maps.Clone(properties)
	return nil
}

// AddSchemas implements registry.Registrator.
func (r *registrator) AddSchemas(string, string, string) error { return errSchemas }

// Close implements registry.Registrator: it removes every service from the platform.
func (r *registrator) Close() error {
	r.mu.Lock()
	var ids []string
	for id := range r.known {
		ids = append(ids, id)
	}
	r.mu.Unlock()
	var all []error
	for _, id := range ids {
		if err := r.UnRegisterMicroServiceInstance(id, ""); err != nil {
			all = append(all, fmt.Errorf("%s: %w", id, err))
		}
	}
	return errors.Join(all...)
}
