package heartbeat

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// failing is a store whose reads and commits fail as told.
type failing struct {
	Store
	err error
}

func (f failing) Read(context.Context, ID) (s Snapshot, err error) { return s, f.err }
func (f failing) Commit(context.Context, *Txn) (Revision, error)   { return 0, f.err }
func (f failing) Grant(context.Context, int) (LeaseID, error)      { return 0, f.err }
func (f failing) Renew(context.Context, LeaseID) (int, error)      { return 0, f.err }

// Beside a replica that publishes no watermark every hold counts from the last failed
// write, else only from the time that the store was full. A record that cannot be used is
// tried again and again; were that a failed write, one such record would keep all the
// dead in discovery, and so would one unanswered write a second.
func TestOnlyAStoreThatFailsToWriteRestartsTheHolds(t *testing.T) {
	silent := errors.New("no answer")
	for _, c := range []struct {
		do              Verb
		err             error
		holds, unspoken bool // restarted; restarted beside a release that publishes none
	}{
		{DoCommit, ErrUnusable, false, false}, {DoCommit, ErrConflict, false, false}, {DoCommit, ErrLeaseGone, false, false}, {DoCommit, nil, false, false},
		{DoCommit, silent, false, true}, {DoCommit, ErrFull, true, true}, {DoGrant, silent, false, true},
		{DoRead, ErrUnusable, false, false}, {DoRead, silent, false, false}, {DoRenew, silent, false, false},
	} {
		for _, unspoken := range []bool{false, true} {
			e := New(Config{Store: failing{err: c.err}, Clock: func() (time.Duration, int64) { return 0, 0 }})
			e.UpdatePeer("b", PeerStatus{Publishes: !unspoken})
			e.updateHealth(func(g *Health) { g.Credited = 7 })
			e.perform(t.Context(), e.ensureEntry("a"), &Action{Do: c.do, Txn: Txn{Record: Record{ID: "a"}}})
			want := c.holds
			if unspoken {
				want = c.unspoken
			}
			require.Equal(t, want, e.health.Load().WritableSince == 7, "%v %v, beside a release without watermarks: %t", c.do, c.err, unspoken)
		}
	}
}
