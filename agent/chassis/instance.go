package chassis

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/go-chassis/go-chassis/v2/core/registry"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
	"github.com/mec-liveness/mepserver/mp1/endpoint"
)

// The tags by which a call chooses among instances, and what else an instance says of its
// service at the platform.
const (
	appTag       = "app"
	versionTag   = "version"
	idProperty   = "mec.serInstanceId"
	nameProperty = "mec.serName"
)

// unreachable begins the endpoint of a service that has no address: see package endpoint.
const unreachable = "mec-transport://"

// instanceOf is a service of the platform as go-chassis calls it. ok is false if it has no
// address that a program could call: go-chassis would choose it in its turn, and fail.
func instanceOf(info *mp1.ServiceInfo) (_ *registry.MicroServiceInstance, ok bool) {
	urls := endpoint.URLs(info.TransportInfo)
	if strings.HasPrefix(urls[0], unreachable) {
		return nil, false
	}
	app := applicationOf(info)
	out := &registry.MicroServiceInstance{
		App: app, ServiceName: info.SerName, Version: info.Version, InstanceID: info.SerInstanceID,
		ServiceID: serviceID(app, info.SerName, info.Version), Status: statusOf(info.State), Metadata: map[string]string{},
	}
	out.EndpointsMap, out.DefaultProtocol = registry.GetProtocolMap(urls)
	if e := out.EndpointsMap[out.DefaultProtocol]; e != nil {
		out.DefaultEndpoint = e.GenEndpoint()
	}
	var own implSpecific
	if t := info.TransportInfo; t != nil && json.Unmarshal(t.ImplSpecificInfo, &own) == nil {
		out.HostName = own.ServiceComb.HostName
		maps.Copy(out.Metadata, own.ServiceComb.Properties)
		if d := own.ServiceComb.DataCenter; d != nil {
			out.DataCenterInfo = &registry.DataCenterInfo{Name: d.Name, Region: d.Region, AvailableZone: d.AvailableZone}
		}
	}
	// last, for an application may write what it likes into its properties
	out.Metadata[versionTag], out.Metadata[idProperty], out.Metadata[nameProperty] = info.Version, info.SerInstanceID, info.SerName
	delete(out.Metadata, appTag)
	if app != "" {
		out.Metadata[appTag] = app
	}
	return out, true
}

// statusOf is ServiceComb's status for a state of MEC 011.
func statusOf(s mp1.State) string {
	switch s {
	case mp1.Active:
		return up
	case mp1.Suspended:
		return "OUTOFSERVICE"
	default:
		return "DOWN"
	}
}

// applicationOf is the appInstanceId of who offers a service, which Mp1 shows in links only;
// "" if they do not say it.
func applicationOf(info *mp1.ServiceInfo) string {
	if info.Links == nil {
		return ""
	}
	for _, href := range []string{info.Links.Self.Href, client.LivenessHref(*info)} {
		_, rest, found := strings.Cut(href, mp1.Base+"/applications/")
		if app, _, more := strings.Cut(rest, "/"); found && more && mp1.ValidID(app) {
			return app
		}
	}
	return ""
}

// serviceID names a microservice to go-chassis. The platform has none of its own.
func serviceID(app, name, version string) string {
	return registry.Microservice2ServiceKeyStr(&registry.MicroService{AppID: app, ServiceName: name, Version: version})
}
