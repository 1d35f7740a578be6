// Package mvccpb gives service-center, which names etcd 3.3's types, the types of
// the etcd that is really linked: two generations of the same protobuf messages in
// one program panic when they register.
package mvccpb

import "go.etcd.io/etcd/api/v3/mvccpb"

type (
	KeyValue        = mvccpb.KeyValue
	Event           = mvccpb.Event
	Event_EventType = mvccpb.Event_EventType
)

const (
	PUT    = mvccpb.PUT
	DELETE = mvccpb.DELETE
)
