package servicecenter

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/go-chassis/cari/discovery"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// Where our services live in service-center (the console looks there).
const domainProject = "default/default"

// Our own keys, outside every cache of service-center.
const (
	recordPrefix  = "/mep/rec/"
	outboxPrefix  = "/mep/obx/"
	subPrefix     = "/mep/sub/"
	cursorPrefix  = "/mep/cur/"
	lockPrefix    = "/mep/lck/"
	clusterKey    = "/mep/cluster"
	replicaPrefix = "/mep/rep/"
	appPrefix     = "/mep/app/"
	halfID        = 32
	// restoredKey tells who looks that the store was restored, and from where.
	restoredKey = "/mep/restored"

	// The first keys behind a range that one watch covers: events that come from several
	// watches have no order between them. Whoever watches passes over what is not for him.
	watchedEnd = "/mep/rep0" // from instancePrefix on: records, projections and replicas
	outboxEnd  = "/mep/sub0" // from lockPrefix on: locks, events and subscriptions
	appsEnd    = "/mep/app0"
)

// newID makes a serInstanceId: 64 lower-case hex characters, of which the first
// half is the ServiceComb serviceId and the second, random half the instanceId, so
// that both keys of an instance are known from its id.
func newID(serviceID string) (heartbeat.ID, error) {
	var b [halfID / 2]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("servicecenter: no randomness: %w", err)
	}
	return heartbeat.ID(serviceID + hex.EncodeToString(b[:])), nil
}

// split parts an id into serviceId and instanceId; ok is false for what cannot be
// an id of ours.
func split(id heartbeat.ID) (serviceID, instanceID string, ok bool) {
	if len(id) != 2*halfID || strings.Trim(string(id), "0123456789abcdef") != "" {
		return "", "", false
	}
	return string(id[:halfID]), string(id[halfID:]), true
}

func recordKey(id heartbeat.ID) string { return recordPrefix + string(id) }

func eventKey(id heartbeat.ID, seq uint64) string {
	return fmt.Sprintf("%s%s/%016x", outboxPrefix, id, seq)
}

// seat is where a projection stands: serviceId and instanceId.
type seat struct{ service, instance string }

// seatOf is the seat of id at a Record.Place.
func seatOf(id heartbeat.ID, place string) seat {
	s, i, _ := split(id)
	return seat{cmp.Or(place, s), i}
}

func (s seat) key() string { return path.GenerateInstanceKey(domainProject, s.service, s.instance) }

func (s seat) leaseKey() string {
	return path.GenerateInstanceLeaseKey(domainProject, s.service, s.instance)
}

// id is that of an instance which was never moved.
func (s seat) id() heartbeat.ID { return heartbeat.ID(s.service + s.instance) }

// seatIn reads an instance key; ok is false for keys of others.
func seatIn(key string) (seat, bool) {
	service, instance, ok := strings.Cut(strings.TrimPrefix(key, instancePrefix), path.SPLIT)
	if !ok {
		return seat{}, false
	}
	s := seat{service, instance}
	_, _, ok = split(s.id())
	return s, ok && len(service) == halfID
}

// serviceIDOf is deterministic: all instances of one application, name and version
// are instances of one microservice.
func serviceIDOf(k *discovery.MicroServiceKey) string {
	return hashOf(path.GenerateServiceIndexKey(k))
}
