// Package chassis makes a go-chassis/v2 application a MEC application: it registers the
// application's service at a MEC platform over Mp1, has package agent keep it alive, and
// finds the services of others there. It knows go-chassis' core/registry, whose plugins it
// provides; it must not know anything of the server behind Mp1, nor of service-center.
//
// An application calls [Install] before go-chassis' Init, and chooses the plugins by two
// lines of its chassis.yaml:
//
//	servicecomb:
//	  registry:
//	    type: mec
//	    address: http://127.0.0.1:30100
//
// # What stands for what
//
// The microservice's app is the appInstanceId, its name is serName, its version is version.
// Its protocols are the URIs of one transport: rest as http or https, others under their own
// name. UP is ACTIVE; every other status is INACTIVE. Properties of the instance and its data
// center travel in the transport's implSpecificInfo. Schemas have no place in Mp1.
//
// An application without protocols offers nothing, and is not registered.
package chassis

import (
	"net/http"

	"github.com/go-chassis/go-chassis/v2/core/registry"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/agent"
)

// Type is the value of servicecomb.registry.type that chooses these plugins.
const Type = "mec"

// Options are what an application may add to its configuration. The zero value will do.
type Options struct {
	// Token brings the bearer token of every request. If it is nil, the setting
	// servicecomb.mec.tokenFile counts, and without that none is sent.
	Token agent.TokenSource
	// Transport carries the requests. If it is nil, one is made of go-chassis' settings for
	// TLS (ssl); the platform's certificate is verified in any case.
	Transport http.RoundTripper
	// Metrics is where the agent registers its metrics. nil: nowhere.
	Metrics prometheus.Registerer
}

// Install gives go-chassis the registrator and the service discovery of [Type]. It is called
// once, before go-chassis' Init.
func Install(o Options) {
	registry.InstallRegistrator(Type, func(r registry.Options) registry.Registrator { return newRegistrator(o, r, ofApplication) })
	registry.InstallServiceDiscovery(Type, func(r registry.Options) registry.ServiceDiscovery { return newDiscovery(o, r, ofApplication) })
}
