// Package keys names what the store holds: our own keys and those of service-center's that
// are about ours. The rooms store and center write with the same words; keys knows no
// values, reads nothing and keeps nothing.
package keys

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/go-chassis/cari/discovery"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// Tenant is the domain and project under which our services are microservices: that of
// service-center's console.
const Tenant = "default/default"

// IDLength is how many lower-case hex characters a serviceId or instanceId of ours has.
const IDLength = 32

// importedLength is how many an instanceId has that EdgeGallery's server made. Its serInstanceIds
// are two of that length.
const importedLength = 16

// Our own keys, which no cache of service-center holds and none of its clients can write.
const (
	RecordPrefix     = "/mep/rec/"
	OutboxPrefix     = "/mep/obx/"
	SubPrefix        = "/mep/sub/"
	CursorPrefix     = "/mep/cur/"
	LockPrefix       = "/mep/lck/"
	ReplicaPrefix    = "/mep/rep/"
	AppPrefix        = "/mep/app/"
	CredentialPrefix = "/mep/crd/"
	RulesPrefix      = "/mep/rul/"
	GatewayPrefix    = "/mep/gwy/"
	DeploymentPrefix = "/mep/dep/"
	// What concerns terminations stands beside the outbox and the subscriptions, and not among
	// them: a release that knows of changes of services only would take an event of the first
	// for damage and erase it, and send to the second what it did not ask for.
	TerminationPrefix    = "/mep/obt/"       // events
	TerminationSubPrefix = "/mep/sbt/"       // subscriptions
	RuleNames            = RulesPrefix + "!" // when a domain name was added to a rule last; "!" is no id of an application
	DeploymentNames      = "/mep/depnames"   // when a deployment got a name last; behind DeploymentsEnd, for older releases
	Cluster              = "/mep/cluster"    // which schema the store has
	Restored             = "/mep/restored"   // that the store was restored, and when
	Erased               = "/mep/erased"     // up to which revision events of the outbox were erased
	ImportMark           = "/mep/imported"   // that the store was filled from another platform's, and when
)

// The first keys behind a range that one watch covers: events of several watches have no
// order between them. Whoever watches passes over what is not for him.
const (
	WatchedEnd     = "/mep/rep0" // from InstancePrefix on: projections, records and replicas
	OutboxEnd      = "/mep/sub0" // from LockPrefix on: locks, events and subscriptions, those of terminations too
	AppsEnd        = "/mep/app0" // from AppPrefix on
	CredentialsEnd = "/mep/crd0" // from CredentialPrefix on
	RulesEnd       = "/mep/rul0" // from RulesPrefix on
	GatewayEnd     = "/mep/gwy0" // from GatewayPrefix on
	DeploymentsEnd = "/mep/dep0" // from DeploymentPrefix on
)

// NewID makes a serInstanceId: 64 lower-case hex characters, of which the first
// half is the ServiceComb serviceId and the second, random half the instanceId, so
// that both keys of an instance are known from its id.
func NewID(serviceID string) (heartbeat.ID, error) {
	var b [IDLength / 2]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("servicecenter: no randomness: %w", err)
	}
	return heartbeat.ID(serviceID + hex.EncodeToString(b[:])), nil
}

// Split parts an id into serviceId and instanceId; ok is false for what cannot be an id of
// ours. An id that EdgeGallery's server made is half as long. Its first half names no
// microservice of ours: Record.Place says where such an instance stands, from the beginning.
func Split(id heartbeat.ID) (serviceID, instanceID string, ok bool) {
	at := 0
	switch len(id) {
	case 2 * IDLength, IDLength:
		at = len(id) / 2
	case IDLength + importedLength: // Instance.ID of an imported one: a projection whose record is gone
		at = IDLength
	}
	if at == 0 || strings.Trim(string(id), hexDigits) != "" {
		return "", "", false
	}
	return string(id[:at]), string(id[at:]), true
}

// Imported says whether an id has the form of EdgeGallery's: its record says where it stands.
func Imported(id heartbeat.ID) bool { return len(id) == 2*importedLength }

const hexDigits = "0123456789abcdef"

// Record is the key of a record.
func Record(id heartbeat.ID) string { return RecordPrefix + string(id) }

// Event is the key of an event: that of the seq-th change of an instance.
func Event(id heartbeat.ID, seq uint64) string {
	return OutboxPrefix + string(id) + path.SPLIT + hex16(seq)
}

// hex16 is n in 16 hexadecimal digits, so that the keys of several are in their order.
func hex16(n uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return hex.EncodeToString(b[:])
}

// Termination is the key of the event that an application is being terminated; begun tells
// its terminations apart.
func Termination(app string, begun int64) string {
	return fmt.Sprintf("%s%s/%016x", TerminationPrefix, app, begun)
}

// Instance names an instance as ServiceComb does.
type Instance struct{ ServiceID, InstanceID string }

// InstanceOf is the instance that a record is shown as; place is its Record.Place: the
// serviceId, if an update gave it another name than the one that its id was made of.
func InstanceOf(id heartbeat.ID, place string) Instance {
	service, instance, _ := Split(id)
	return Instance{cmp.Or(place, service), instance}
}

// Key is that of the instance itself: the projection of a record.
func (i Instance) Key() string { return InstancePrefix + i.ServiceID + path.SPLIT + i.InstanceID }

// LeaseKey is where service-center looks up the lease of an instance.
func (i Instance) LeaseKey() string {
	return LeasePrefix + i.ServiceID + path.SPLIT + i.InstanceID
}

// ID is the serInstanceId that begins with the serviceId: that of an instance which has the
// name that it was registered with.
func (i Instance) ID() heartbeat.ID { return heartbeat.ID(i.ServiceID + i.InstanceID) }

// ParseInstance reads an instance key; ok is false for keys of others.
func ParseInstance(key string) (Instance, bool) {
	service, instance, ok := strings.Cut(strings.TrimPrefix(key, InstancePrefix), path.SPLIT)
	if !ok {
		return Instance{}, false
	}
	i := Instance{service, instance}
	_, _, ok = Split(i.ID())
	return i, ok && len(service) == IDLength && instance != ""
}

// ServiceIDOf is the serviceId of a microservice of ours: all instances of one application,
// name and version are instances of one microservice.
func ServiceIDOf(k *discovery.MicroServiceKey) string {
	return ServiceIDAt(path.GenerateServiceIndexKey(k))
}
