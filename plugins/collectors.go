package plugins

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Collectors are a plugin's with the default registry: service-center's /metrics shows
// that one.
type Collectors struct{ all []prometheus.Collector }

// Add registers c, unless another one of its name is there.
func (cs *Collectors) Add(c prometheus.Collector) {
	var twice prometheus.AlreadyRegisteredError
	if err := prometheus.Register(c); err == nil || !errors.As(err, &twice) {
		cs.all = append(cs.all, c)
	}
}

// Unregister takes away what was added. It is a plugin's stop.
func (cs *Collectors) Unregister(context.Context) error {
	for _, c := range cs.all {
		prometheus.Unregister(c)
	}
	return nil
}
