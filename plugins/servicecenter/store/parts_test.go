package store

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// elsewhere makes n revisions that are about nobody's service.
func elsewhere(t *testing.T, s *Store, n int) {
	t.Helper()
	for i := range n {
		_, err := s.client.Put(t.Context(), "/mep/test", strconv.Itoa(i))
		require.NoError(t, err)
	}
}

// spoiled makes an instance's projection unlike its record.
func spoiled(t *testing.T, s *Store, id heartbeat.ID) {
	t.Helper()
	_, err := s.client.Put(t.Context(), keys.InstanceOf(id, "").Key(), "x")
	require.NoError(t, err)
}

// parts has compared what was written since, a part at a time, and returns who was found unlike his
// record in each.
func parts(t *testing.T, s *Store, at heartbeat.Revision) (found [][]heartbeat.ID, ends []heartbeat.Revision) {
	t.Helper()
	head, err := s.client.Head(t.Context())
	require.NoError(t, err)
	for at < head {
		some, next, err := s.Changes(t.Context(), at, nil)
		require.NoError(t, err)
		require.Greater(t, next, at, "each part goes on")
		s.AwaitRepairs()
		var unlike []heartbeat.ID
		for i := range some {
			if some[i].Unlike() {
				unlike = append(unlike, some[i].ID)
			}
		}
		found, ends, at = append(found, unlike), append(ends, next), next
	}
	return found, ends
}

// A burst of registrations led to a list of everything at each sweep: all keys of 100,000 services were
// read in one go. What it wrote is compared a part at a time, and nothing of it is missed.
func TestABurstIsComparedAPartAtATime(t *testing.T) {
	s, all, _ := countedStore(t, 15) // five a microservice
	at := compared(t, s)
	_, at, err := s.Changes(t.Context(), at, nil)
	require.NoError(t, err)
	s.AwaitRepairs()
	s.history.walk = nowhere
	spoiled(t, s, all[0].ID)
	elsewhere(t, s, heartbeat.MostCompared-2)
	spoiled(t, s, all[5].ID)  // the last of the first part
	spoiled(t, s, all[10].ID) // what the second part begins behind
	elsewhere(t, s, 5)
	_, _, err = s.Changes(t.Context(), at, nil)
	require.NoError(t, err)
	s.AwaitRepairs()
	require.Equal(t, nowhere, s.history.walk, "the walk goes on with the last part")
	require.Equal(t, int64(at)+heartbeat.MostCompared, s.history.at)
	found, ends := parts(t, s, at)
	require.Len(t, found, 2)
	require.ElementsMatch(t, []heartbeat.ID{all[0].ID, all[5].ID}, found[0])
	require.Contains(t, found[1], all[10].ID)
	require.Equal(t, at+heartbeat.MostCompared, ends[0])
	require.NotEqual(t, nowhere, s.history.walk)
}

// Parts are bounded by what is read, too: no revision is split, and none is left out.
func TestWhatIsLargeIsComparedInSmallerParts(t *testing.T) {
	s, all, _ := countedStore(t, 60)
	at := compared(t, s)
	large := strings.Repeat("x", 400<<10)
	var want []heartbeat.ID
	for i := range all {
		key, value := keys.Record(all[i].ID), "{"
		if i%2 == 0 {
			key, value = keys.InstanceOf(all[i].ID, "").Key(), "x"
			want = append(want, all[i].ID)
		}
		_, err := s.client.Txn(t.Context()).Then(clientv3.OpPut("/mep/test", large), clientv3.OpPut(key, value)).Commit()
		require.NoError(t, err)
	}
	s.history.walk = nowhere
	found, ends := parts(t, s, at)
	require.Greater(t, len(ends), 60*2*400<<10/(mostHistory*2))
	require.Subset(t, slices.Concat(found...), want)
	require.Equal(t, 30, s.unreadable.count())
}

// Where there are few services a list costs less than what very many revisions say; where there are
// many it does not.
func TestHowFarASweepMayBeBehindGrowsWithTheServices(t *testing.T) {
	s := &Store{}
	require.EqualValues(t, mostRevisions, s.mostBehind())
	s.owned.held = map[heartbeat.ID]holding{}
	for i := range 10 * mostRevisions {
		s.owned.held[heartbeat.ID(strconv.Itoa(i))] = holding{}
	}
	require.EqualValues(t, 10*mostRevisions/shareWritten, s.mostBehind())
}
