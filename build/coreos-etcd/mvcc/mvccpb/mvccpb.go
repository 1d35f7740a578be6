// Package mvccpb gives service-center, which names etcd 3.3's types, the type of
// the etcd that is really linked: two generations of the same protobuf messages in
// one program panic when they register.
package mvccpb

import "go.etcd.io/etcd/api/v3/mvccpb"

// KeyValue is what service-center reads from the store.
type KeyValue = mvccpb.KeyValue
