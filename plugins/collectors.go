package plugins

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Collectors are the metrics of one plugin, in the default registry of Prometheus, which
// service-center's /metrics shows.
type Collectors struct{ all []prometheus.Collector }

// Add registers c. If another collector of the same name is registered, nothing happens.
func (cs *Collectors) Add(c prometheus.Collector) {
	var twice prometheus.AlreadyRegisteredError
	if err := prometheus.Register(c); err == nil || !errors.As(err, &twice) {
		cs.all = append(cs.all, c)
	}
}

// Unregister takes away what was added. It has the form of a plugin's stop function.
func (cs *Collectors) Unregister(context.Context) error {
	for _, c := range cs.all {
		prometheus.Unregister(c)
	}
	return nil
}
