package etcd

import (
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

func TestALineageBreaksWhenTheStoreGoesBackOrIsAnotherOne(t *testing.T) {
	for name, tt := range map[string]struct {
		headers []pb.ResponseHeader
		broken  bool
	}{
		"forward":         {[]pb.ResponseHeader{{ClusterId: 1, Revision: 5}, {ClusterId: 1, Revision: 5}, {ClusterId: 1, Revision: 9}}, false},
		"back":            {[]pb.ResponseHeader{{ClusterId: 1, Revision: 5}, {ClusterId: 1, Revision: 4}}, true},
		"another cluster": {[]pb.ResponseHeader{{ClusterId: 1, Revision: 5}, {ClusterId: 2, Revision: 9}}, true},
	} {
		l := newLineage()
		one, two := l.Broken(), l.Broken()
		known := true
		for i := range tt.headers {
			known = l.answered(l.now(), &tt.headers[i])
		}
		require.Equal(t, tt.broken, !known, name)
		last := tt.headers[len(tt.headers)-1]
		require.Equal(t, known, l.answered(l.now(), &last), "until the engine was told, nothing is of the history that it knows: %s", name)
		l.Acknowledge()
		require.True(t, l.answered(l.now(), &last), name)
		require.Equal(t, tt.broken, ended(one), name)
		require.Equal(t, tt.broken, ended(two), "everybody is told: %s", name)
		require.False(t, ended(l.Broken()), "another history has begun: %s", name)
	}
	l := newLineage()
	l.answered(position{}, &pb.ResponseHeader{ClusterId: 1, Revision: 5})
	before := l.now()
	l.Advance(7) // the watch is faster than a read that was on its way
	l.answered(before, &pb.ResponseHeader{ClusterId: 1, Revision: 6})
	ends := l.Broken()
	require.False(t, ended(ends))
	l.answered(l.now(), &pb.ResponseHeader{ClusterId: 1, Revision: 6})
	require.True(t, ended(ends), "the watch had been further")

	l = newLineage()
	l.answered(l.now(), &pb.ResponseHeader{ClusterId: 1, Revision: 200})
	both, ends := l.now(), l.Broken() // of two reads that are in flight together
	require.False(t, l.answered(both, &pb.ResponseHeader{ClusterId: 1, Revision: 150}))
	require.True(t, ended(ends))
	l.Acknowledge()
	ends = l.Broken()
	require.False(t, l.answered(both, &pb.ResponseHeader{ClusterId: 1, Revision: 151}), "it was asked before the end")
	require.False(t, ended(ends), "and ends nothing again")
	require.True(t, l.answered(l.now(), &pb.ResponseHeader{ClusterId: 1, Revision: 152}))
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
