package store

import (
	"bytes"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
)

func kvAt(revision int64) *mvccpb.KeyValue { return &mvccpb.KeyValue{ModRevision: revision} }

func containsID(b []byte, id heartbeat.ID) bool { return bytes.Contains(b, []byte(id)) }

// differs is differsFrom of a value.
func differs(r *heartbeat.Record, value []byte, older bool) bool {
	yes, _ := differsFrom(r, older, func(want string) bool { return string(value) == want })
	return yes
}
