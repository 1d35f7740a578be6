package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

var _ plugins.GatewayStore = (*Store)(nil)

// gatewayEntries is the value of the key of one service's entries at the API gateway.
type gatewayEntries struct {
	Schema  int            `json:"schema"`
	Entries []gatewayEntry `json:"entries,omitempty"` // in the order of their URIs
	Removed []string       `json:"removed,omitempty"`
}

type gatewayEntry struct {
	URI  string `json:"uri"`
	Name string `json:"name"`
}

// decodeGatewayEntries also returns the members that this release does not know.
func decodeGatewayEntries(kv *mvccpb.KeyValue) (e plugins.GatewayEntries, unknown string, ok bool) {
	var v gatewayEntries
	unknown, err := decode(kv.Value, &v)
	e = gatewayEntriesAt(kv)
	if err != nil || v.Schema != heartbeat.Schema || e.ID == "" {
		return e, "", false
	}
	if len(v.Entries) > 0 {
		e.Names = make(map[string]string, len(v.Entries))
	}
	for _, one := range v.Entries {
		e.Names[one.URI] = one.Name
	}
	e.Removed = v.Removed
	return e, unknown, true
}

func gatewayEntriesAt(kv *mvccpb.KeyValue) plugins.GatewayEntries {
	return plugins.GatewayEntries{ID: heartbeat.ID(strings.TrimPrefix(string(kv.Key), keys.GatewayPrefix)), At: heartbeat.Revision(kv.ModRevision)}
}

func encodeGatewayEntries(e *plugins.GatewayEntries) (string, error) {
	v := gatewayEntries{Schema: heartbeat.Schema, Removed: e.Removed}
	for uri, name := range e.Names {
		v.Entries = append(v.Entries, gatewayEntry{uri, name})
	}
	slices.SortFunc(v.Entries, func(a, b gatewayEntry) int { return strings.Compare(a.URI, b.URI) })
	b, err := json.Marshal(v)
	return string(b), err
}

// SaveGatewayEntries implements plugins.GatewayStore. A full store refuses it only where there
// are names to be added: what is to be forgotten makes room.
func (s *Store) SaveGatewayEntries(ctx context.Context, e plugins.GatewayEntries) (heartbeat.Revision, error) {
	value, err := encodeGatewayEntries(&e)
	if err != nil {
		return 0, err
	}
	class := quota.Grow
	if len(e.Names) == 0 {
		class = quota.Free
	}
	key := keys.GatewayPrefix + string(e.ID)
	return s.put(ctx, class, key, e.At, value)
}

// EraseGatewayEntries implements plugins.GatewayStore.
func (s *Store) EraseGatewayEntries(ctx context.Context, id heartbeat.ID, at heartbeat.Revision) (heartbeat.Revision, error) {
	key := keys.GatewayPrefix + string(id)
	return s.writeAt(ctx, quota.Free, key, at, clientv3.OpDelete(key))
}

// GatewayEntries implements plugins.GatewayStore. What cannot be read is as good as not there;
// its revision lets it be replaced.
func (s *Store) GatewayEntries(ctx context.Context, id heartbeat.ID) (plugins.GatewayEntries, error) {
	kv, err := s.one(ctx, keys.GatewayPrefix+string(id))
	if kv == nil || err != nil {
		return plugins.GatewayEntries{ID: id}, err
	}
	return gatewayKind().read(s, kv), nil
}

// gatewayKind are these documents.
func gatewayKind() documents[plugins.GatewayEntries] {
	return documents[plugins.GatewayEntries]{name: "gateway", prefix: keys.GatewayPrefix, end: keys.GatewayEnd, decode: decodeGatewayEntries, erased: gatewayEntriesAt}
}

// FollowGatewayEntries implements plugins.GatewayStore.
func (s *Store) FollowGatewayEntries(ctx context.Context, load func([]plugins.GatewayEntries, heartbeat.Revision),
	see func(plugins.GatewayEntries, bool), failed func(reason string, err error)) {
	gatewayKind().follow(ctx, s, load, see, failed)
}
