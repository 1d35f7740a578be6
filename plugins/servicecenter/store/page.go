package store

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/plugins/failpoint"
)

const (
	usualPage = 1000
	// pageBytes is how large a page may grow. For each page etcd walks over all keys that are
	// left, to count them: 100,000 keys in pages of 1,000 are five million steps.
	pageBytes = 4 << 20
	mostKeys  = 1 << 14
	// pageTimeout bounds the reading of one page, which is tried pageAttempts times: a
	// list that advances goes on, however long it is.
	pageTimeout  = 10 * time.Second
	pageAttempts = 3
)

// pageSize is how many keys the next page of a range has.
type pageSize struct {
	limit   int64
	settled bool // it does not change any more
}

func newPageSize() *pageSize {
	if failpoint.On && failpoint.Armed("list.mid-range") {
		return &pageSize{3, true} // so that few keys have a middle
	}
	return &pageSize{limit: usualPage}
}

// next follows a full page: the next one may be larger, while the values are small.
func (p *pageSize) next(page []*mvccpb.KeyValue) {
	bytes := 0
	for _, kv := range page {
		bytes += kv.Size()
	}
	switch {
	case p.settled:
	case 2*bytes <= pageBytes:
		p.limit = min(2*p.limit, mostKeys)
	case bytes > 2*pageBytes:
		p.limit = max(p.limit/2, usualPage)
	}
}

// shrink follows a page that did not come in time; false: it was of the usual size, so that
// the store is no faster with less.
func (p *pageSize) shrink() bool {
	if p.limit <= usualPage {
		return false
	}
	p.limit, p.settled = usualPage, true
	return true
}

// page reads one page.
func (s *Store) page(ctx context.Context, key string, opts ...clientv3.OpOption) (res *clientv3.GetResponse, err error) {
	for range pageAttempts {
		one, cancel := context.WithTimeout(ctx, pageTimeout)
		res, err = s.client.Get(one, key, opts...)
		cancel()
		if err == nil || ctx.Err() != nil || errors.Is(err, rpctypes.ErrCompacted) {
			break
		}
	}
	return res, err
}
