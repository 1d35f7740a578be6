package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chassis/cari/discovery"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/endpoint"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

const (
	frameworkName    = "ETSI-MEC-011"
	frameworkVersion = "3.1.1"
	ownerProperty    = "mec.appInstanceId" // marks an instance as a projection of ours
	idProperty       = "mec.serInstanceId"
	foreignSuffix    = "-mec"                      // for a name that a ServiceComb client took first
	crossAppProperty = discovery.PropAllowCrossApp // without it only consumers of the same appId find a service and hear of it
)

// status maps ETSI's states to service-center's, which refuses the word SUSPENDED.
func status(s heartbeat.State) string {
	switch s {
	case heartbeat.Active:
		return discovery.MSI_UP
	case heartbeat.Suspended:
		return discovery.MSI_OUTOFSERVICE
	default:
		return discovery.MSI_DOWN
	}
}

// projector encodes what ServiceComb shows of a record: its microservice and its instance.
// All of it follows from the record, so that what is stored can be compared with what it
// should be.
type projector struct {
	rec  *heartbeat.Record
	info mp1.ServiceInfo
	key  discovery.MicroServiceKey
}

func project(rec *heartbeat.Record) (*projector, error) {
	info, err := mp1.ReadStored(rec.Attributes)
	if err != nil {
		return nil, fmt.Errorf("%w: its attributes: %w", heartbeat.ErrUnusable, err)
	}
	p := &projector{rec: rec, info: info}
	service := keys.InstanceOf(rec.ID, rec.Place).ServiceID
	all := suffixes(service)
	for _, suffix := range all {
		p.key = serviceKey(rec.Owner, p.info, suffix)
		if keys.ServiceIDOf(&p.key) == service {
			return p, nil
		}
	}
	return p, nil // the last is derived from the id
}

// suffixes are those that a microservice of ours with this id may have at its name:
// none, or one where a ServiceComb client took the name or the id first. The last is
// that of an id which nobody could know in advance.
func suffixes(id string) []string {
	return []string{"", foreignSuffix, foreignSuffix + "-" + id[:min(len(id), unguessable)]}
}

const (
	unguessable = 12  // characters of an id
	maxAppID    = 160 // of service-center
	maxName     = 128
)

func serviceKey(owner string, info mp1.ServiceInfo, suffix string) discovery.MicroServiceKey {
	return discovery.MicroServiceKey{
		Tenant: keys.Tenant, AppId: safeName(owner, maxAppID), ServiceName: suffixed(info.SerName, suffix), Version: safeVersion(info.Version),
	}
}

func suffixed(name, suffix string) string { return safeName(name, maxName-len(suffix)) + suffix }

// safeName maps a name to service-center's alphabet: letters and digits at both
// ends, between them also _ . and -.
func safeName(s string, most int) string {
	alnum := func(r rune) bool { return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
	s = strings.Map(func(r rune) rune {
		if alnum(r) || r == '_' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, s)
	s = s[:min(len(s), most)]
	if s != "" && alnum(rune(s[0])) && alnum(rune(s[len(s)-1])) {
		return s
	}
	b := []byte(s)
	if len(b) == 0 {
		return "x"
	}
	for _, i := range []int{0, len(b) - 1} {
		if !alnum(rune(b[i])) {
			b[i] = 'x'
		}
	}
	return string(b)
}

// safeVersion keeps x[.y[.z]] with parts up to 32767 and maps all else to 1.0.0.
func safeVersion(v string) string {
	parts := strings.Split(v, ".")
	if len(parts) > 3 {
		return "1.0.0"
	}
	for _, p := range parts {
		if n, err := strconv.ParseUint(p, 10, 15); err != nil || strconv.FormatUint(n, 10) != p {
			return "1.0.0"
		}
	}
	return v
}

func unix(nanos int64) string { return strconv.FormatInt(nanos/int64(time.Second), 10) }

// service is the microservice, encoded.
func (p *projector) service() ([]byte, error) {
	return encodeService(keys.InstanceOf(p.rec.ID, p.rec.Place).ServiceID, &p.key, p.rec.Owner, p.info.SerName, p.info.Version, unix(p.rec.RegisteredAt))
}

// encodeService encodes one; its status is always UP, the states are the instances'. Its
// appId is that of one application instance, so that every consumer is of another.
func encodeService(id string, k *discovery.MicroServiceKey, owner, serName, version, registered string) ([]byte, error) {
	m := forOwnApp(id, k, owner, serName, version, registered)
	m.Properties[crossAppProperty] = "true"
	return json.Marshal(m)
}

// forOwnApp is a microservice as the previous release encoded it, for its own appId alone.
func forOwnApp(id string, k *discovery.MicroServiceKey, owner, serName, version, registered string) *discovery.MicroService {
	return &discovery.MicroService{
		ServiceId: id, AppId: k.AppId, ServiceName: k.ServiceName, Version: k.Version,
		Description: "MEC service", Level: "FRONT", Status: discovery.MS_UP, RegisterBy: "PLATFORM",
		Framework:  &discovery.FrameWorkProperty{Name: frameworkName, Version: frameworkVersion},
		Timestamp:  registered,
		Properties: map[string]string{"mec.serName": serName, "mec.version": version, ownerProperty: owner},
		// service-center's pages read the length of these
		Schemas: []string{}, Paths: []*discovery.ServicePath{},
	}
}

// instance is the instance, encoded.
func (p *projector) instance() (string, error) {
	return p.instanceAt(endpoint.URLs(p.info.TransportInfo), true)
}

// instanceWithoutReason is the instance as the release before encoded it.
func (p *projector) instanceWithoutReason() (string, error) {
	return p.instanceAt(endpoint.URLs(p.info.TransportInfo), false)
}

// instanceBefore is the projection as the release before that made it: with the addresses as the
// application wrote them, whether anybody could call them or not.
func (p *projector) instanceBefore() (string, error) {
	t := p.info.TransportInfo
	if t == nil {
		return p.instanceAt([]string{"mec-transport:none"}, false)
	}
	scheme := strings.ToLower(safeName(t.Protocol, 32)) + "://"
	out := slices.Clone(t.Endpoint.URIs)
	for _, a := range t.Endpoint.Addresses {
		out = append(out, fmt.Sprintf("%s%s:%d", scheme, a.Host, a.Port))
	}
	for _, f := range t.Endpoint.FQDN {
		out = append(out, scheme+f)
	}
	if len(out) == 0 {
		out = append(out, "mec-transport:"+safeName(t.ID, 64))
	}
	return p.instanceAt(out, false)
}

// instanceAt is the instance with these endpoints. It says why it is not ACTIVE, unless the reason
// is to be left out.
func (p *projector) instanceAt(endpoints []string, reason bool) (string, error) {
	rec := p.rec
	at := keys.InstanceOf(rec.ID, rec.Place)
	interval := max(rec.Interval, rec.Previous, 1)
	props := map[string]string{
		"mec.serName": p.info.SerName, "mec.version": p.info.Version, "mec.serializer": string(p.info.Serializer),
		"mec.state": rec.State.Shown().String(), ownerProperty: rec.Owner, idProperty: string(rec.ID),
	}
	if rec.Beating() {
		props["mec.livenessInterval"] = strconv.Itoa(interval)
	}
	if reason && rec.State != heartbeat.Active {
		props["mec.reason"] = plugins.CauseOf(rec).Sentence()
	}
	if c := p.info.SerCategory; c != nil {
		props["mec.serCategory.id"], props["mec.serCategory.name"] = c.ID, c.Name
	}
	return encode(&discovery.MicroServiceInstance{
		InstanceId: at.InstanceID, ServiceId: at.ServiceID, Endpoints: endpoints,
		HostName: hostName(rec.Owner), Status: status(rec.State), Properties: props, Version: p.key.Version,
		HealthCheck: &discovery.HealthCheck{Mode: discovery.CHECK_BY_HEARTBEAT, Interval: int32(interval), Times: int32(max(rec.Window/interval-1, 0))},
		Timestamp:   unix(rec.RegisteredAt), ModTimestamp: unix(rec.ChangedAt),
	})
}

// hostName is the first column of every list: the application, as far as it fits.
func hostName(owner string) string { return owner[:min(len(owner), 64)] }
