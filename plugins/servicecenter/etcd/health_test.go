package etcd

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/plugins"
)

// Which member leads is known from any that answers: the one that leads may be one that is not
// named, or that does not answer us alone.
func TestTheLeaderIsKnownFromAnyMemberThatAnswers(t *testing.T) {
	says := func(id, leader, term uint64) member {
		return member{endpoint: "http://" + hexID(id), status: &clientv3.StatusResponse{Header: &etcdserverpb.ResponseHeader{MemberId: id}, Version: "3.6.0", Leader: leader, RaftTerm: term}}
	}
	silent := member{endpoint: "http://c", err: errors.New("refused")}
	listed := []*etcdserverpb.Member{{ID: 0xa, Name: "a"}, {ID: 0xb, Name: "b"}, {ID: 0xc, Name: "c", ClientURLs: []string{"http://c"}}}
	for name, tt := range map[string]struct {
		asked  []member
		listed []*etcdserverpb.Member
		leader string
		leads  []string // IDs
	}{
		"it says so itself":             {[]member{says(0xa, 0xa, 2), says(0xb, 0xa, 2)}, listed, "a", []string{"a"}},
		"it is not named":               {[]member{says(0xa, 0xc, 2)}, listed, "c", []string{"c"}},
		"it does not answer":            {[]member{says(0xa, 0xc, 2), silent}, listed, "c", []string{"c"}},
		"members cannot be listed":      {[]member{says(0xa, 0xc, 2), silent}, nil, "c", nil},
		"there is none":                 {[]member{says(0xa, 0, 2), says(0xb, 0, 2), silent}, listed, "", nil},
		"who knows none says nothing":   {[]member{says(0xa, 0, 3), says(0xb, 0xc, 2)}, listed, "c", []string{"c"}},
		"the one of the latest term is": {[]member{says(0xb, 0xb, 3), says(0xa, 0xa, 2)}, listed, "b", []string{"b"}},
		"nobody answers":                {[]member{silent}, nil, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.leader, leader(tt.asked))
			var leads []string
			for _, m := range joined(tt.asked, tt.listed, leader(tt.asked)) {
				if m.Leader {
					leads = append(leads, m.ID)
				}
			}
			require.Equal(t, tt.leads, leads)
		})
	}
	unnamed := joined([]member{says(0xa, 0xb, 2)}, listed[:2], "b")[1]
	require.Equal(t, plugins.StoreMember{ID: "b", Name: "b", Leader: true, Error: errNotNamed.Error()}, unnamed)
}
