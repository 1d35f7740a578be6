package datadir

import (
	"errors"
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"
)

// PrepareReplay changes a copy of a directory that an etcd before 3.5 was killed on before its
// database had any write of a client. Such a database knows the members, and not that the log's
// entry which adds them was applied: a start would refuse the entry, and panic for want of
// members. The entry adds them anew.
func PrepareReplay(dir string, lg *zap.Logger) (err error) {
	p := pathsOf(dir)
	if _, err := os.Stat(p.db); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	defer func() { // it panics at what it cannot write
		if f := recover(); f != nil {
			err = fmt.Errorf("%v", f)
		}
	}()
	be := backend.NewDefaultBackend(lg, p.db, backend.WithMmapSize(0))
	defer func() { err = errors.Join(err, be.Close()) }()
	tx := be.BatchTx()
	tx.LockOutsideApply()
	for _, bucket := range []backend.Bucket{schema.Meta, schema.Members, schema.MembersRemoved} {
		tx.UnsafeCreateBucket(bucket) // a read of one that is not there ends the process
	}
	applied, _ := schema.UnsafeReadConsistentIndex(tx)
	tx.Unlock()
	if applied > 0 {
		return nil
	}
	return schema.NewMembershipBackend(lg, be).TrimMembershipFromBackend()
}
