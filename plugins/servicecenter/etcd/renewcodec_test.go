package etcd

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/mem"
)

// What is written and read by hand is what etcd's own code writes and reads.
func TestRenewalsAreEncodedAsEtcdEncodesThem(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	number := func() int64 {
		return []int64{0, 1, -1, math.MinInt64, math.MaxInt64, r.Int64(), r.Int64() >> r.IntN(64), -r.Int64()}[r.IntN(8)]
	}
	for range 2000 {
		sent := &pb.LeaseKeepAliveRequest{ID: number()}
		b, err := renewalCodec{}.Marshal(sent)
		require.NoError(t, err)
		want, err := sent.Marshal()
		require.NoError(t, err)
		require.Equal(t, string(want), string(b.Materialize()))

		told := &pb.LeaseKeepAliveResponse{ID: number(), TTL: number()}
		if r.IntN(4) > 0 {
			told.Header = &pb.ResponseHeader{ClusterId: r.Uint64(), MemberId: r.Uint64(), Revision: r.Int64(), RaftTerm: r.Uint64()}
		}
		wire, err := told.Marshal()
		require.NoError(t, err)
		wire = append(wire, []string{"", "\x21abcdefgh", "\x2dabcd", "\x22\x03abc", "\x20\x05"}[r.IntN(5)]...) // fields of a later release
		parts := mem.BufferSlice{mem.SliceBuffer(wire)}
		if at := r.IntN(len(wire) + 1); r.IntN(2) == 0 {
			parts = mem.BufferSlice{mem.SliceBuffer(wire[:at]), mem.SliceBuffer(wire[at:])}
		}
		got := &pb.LeaseKeepAliveResponse{ID: 5, TTL: 5}
		require.NoError(t, renewalCodec{}.Unmarshal(parts, got))
		require.Equal(t, told.ID, got.ID)
		require.Equal(t, told.TTL, got.TTL)

		cut := wire[:r.IntN(len(wire)+1)] // whatever came is no panic, and no more is read than by etcd
		theirs, ours := &pb.LeaseKeepAliveResponse{}, &pb.LeaseKeepAliveResponse{}
		if err := (renewalCodec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(cut)}, ours); theirs.Unmarshal(cut) == nil {
			require.NoError(t, err)
			require.Equal(t, theirs.TTL, ours.TTL)
		}
	}
	_, err := renewalCodec{}.Marshal("another message")
	require.ErrorIs(t, err, errRenewalMessage)
	require.ErrorIs(t, renewalCodec{}.Unmarshal(nil, "another message"), errRenewalMessage)
	for _, bad := range []string{"\x18", "\x18\xff", "\x0a\x05a", "\x19abc", "\x1f", "\x80"} {
		require.ErrorIs(t, renewalCodec{}.Unmarshal(mem.BufferSlice{mem.SliceBuffer(bad)}, &pb.LeaseKeepAliveResponse{}), errRenewalMessage, "%q", bad)
	}
}
