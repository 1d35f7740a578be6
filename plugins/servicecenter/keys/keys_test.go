package keys

import (
	"strings"
	"testing"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/go-chassis/cari/discovery"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// The keys of an instance are known from its id, and its id from the key, unless an update
// gave it another name.
func TestAnInstanceIsFoundByItsIDAndByItsKey(t *testing.T) {
	k := discovery.MicroServiceKey{Tenant: Tenant, AppId: "app", ServiceName: "name", Version: "1.0.0"}
	service := ServiceIDOf(&k)
	require.True(t, IsServiceID(service))
	require.Equal(t, service, ServiceIDAt(IndexPrefix+"/app/name/1.0.0"))
	id, err := NewID(service)
	require.NoError(t, err)
	at := InstanceOf(id, "")
	require.Equal(t, service, at.ServiceID)
	require.Equal(t, id, at.ID())
	got, ok := ParseInstance(at.Key())
	require.True(t, ok)
	require.Equal(t, at, got)
	require.Equal(t, path.GenerateInstanceKey(Tenant, at.ServiceID, at.InstanceID), at.Key())
	require.Equal(t, path.GenerateInstanceLeaseKey(Tenant, at.ServiceID, at.InstanceID), at.LeaseKey())
	require.Equal(t, OutboxPrefix+string(id)+"/00000000000000ff", Event(id, 255))

	renamed := InstanceOf(id, strings.Repeat("c", IDLength))
	require.NotEqual(t, id, renamed.ID())
	require.Equal(t, at.InstanceID, renamed.InstanceID)
}

// Keys of others are none of ours, whatever they look like.
func TestKeysOfOthersAreNotTakenForOurs(t *testing.T) {
	half := strings.Repeat("a", IDLength)
	for _, key := range []string{"", InstancePrefix, InstancePrefix + half, InstancePrefix + half + "/mep-0123456789abcdef", InstancePrefix + half[1:] + "/" + half + "a",
		InstancePrefix + half + "/" + half + "/" + half, InstancePrefix + strings.ToUpper(half) + "/" + half, InstancePrefix + half + "/",
		InstancePrefix + half[:16] + "/" + half, InstancePrefix + half[:16] + "/" + half[:16], InstancePrefix + half + "/" + half[:15]} {
		_, ok := ParseInstance(key)
		require.False(t, ok, key)
	}
	for _, id := range []heartbeat.ID{"", heartbeat.ID(half[1:]), heartbeat.ID(half + "a"), heartbeat.ID(half + half + "a"), heartbeat.ID(half[:16]), heartbeat.ID(strings.Repeat("G", 32)), heartbeat.ID(half + strings.Repeat("g", IDLength))} {
		_, _, ok := Split(id)
		require.False(t, ok, id)
	}
}

// An id that EdgeGallery's server made is found as one of ours that was renamed: its record
// says where it stands.
func TestAnIDOfEdgeGallerysIsFoundWhereItsRecordSays(t *testing.T) {
	id, place := heartbeat.ID("7f544fe84ec5a7e79354d9f712345678"), strings.Repeat("c", IDLength)
	require.True(t, Imported(id))
	require.False(t, Imported(id+id))
	at := InstanceOf(id, place)
	require.Equal(t, Instance{ServiceID: place, InstanceID: "9354d9f712345678"}, at)
	got, ok := ParseInstance(at.Key())
	require.True(t, ok)
	require.Equal(t, at, got)
	// A projection whose record is gone is erased by that name.
	require.Equal(t, at, InstanceOf(at.ID(), ""))
	require.False(t, Imported(at.ID()))
}
