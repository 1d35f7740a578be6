package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/version"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/filesystem"
)

// errNotNamed is of a member that we do not ask.
var errNotNamed = errors.New("it is not among store.endpoints")

// Health asks each server of the store how it is, in bounded time.
func (c *Client) Health(ctx context.Context) (h plugins.StoreHealth) {
	if c.etcd != nil {
		h.Members = []plugins.StoreMember{c.embeddedHealth(ctx)}
		if i, err := filesystem.Of(c.dataDir); err == nil {
			h.Disk = &plugins.StoreDisk{FileSystem: i.Kind, Remote: i.Remote, FreeBytes: int64(i.Free)} //nolint:gosec // no disk has 2^63 bytes
		}
		return h
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	asked := c.members(ctx, c.cluster)
	listed, err := c.listed(ctx)
	if err != nil {
		h.Unlisted = PlainError(err).Error()
	}
	h.Leader = leader(asked)
	h.Members = joined(asked, listed, h.Leader)
	return h
}

// listed are the members as the server that answers knows them, without a question to the others.
func (c *Client) listed(ctx context.Context) ([]*etcdserverpb.Member, error) {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	res, err := c.MemberList(ctx, clientv3.WithSerializable())
	if err != nil {
		return nil, err
	}
	return res.Members, nil
}

func (c *Client) embeddedHealth(ctx context.Context) plugins.StoreMember {
	server := c.etcd.Server
	m := plugins.StoreMember{ID: hexID(uint64(server.MemberID())), Version: version.Version, Leader: server.Leader() == server.MemberID(), QuotaBytes: c.upkeep.gate.Limit(),
		UsedBytes: server.Backend().SizeInUse(), SizeBytes: server.Backend().Size()}
	_, err := inTime(ctx, c.calls, func(context.Context) (struct{}, error) {
		for _, a := range server.Alarms() {
			m.Alarms = append(m.Alarms, a.Alarm.String())
		}
		return struct{}{}, nil
	})
	if err != nil {
		return plugins.StoreMember{ID: m.ID, Version: m.Version, Error: PlainError(err).Error()}
	}
	return m
}

// leader is the ID of the member that leads, by those that answer; "": none of them knows one. Who
// knows of a later term knows better.
func leader(asked []member) (id string) {
	term := uint64(0)
	for _, a := range asked {
		if a.err == nil && a.status.Leader != 0 && a.status.RaftTerm >= term {
			id, term = hexID(a.status.Leader), a.status.RaftTerm
		}
	}
	return id
}

// joined is what the members said of themselves, with those of whom only others know.
func joined(asked []member, listed []*etcdserverpb.Member, leader string) (all []plugins.StoreMember) {
	for _, a := range asked {
		m := plugins.StoreMember{Endpoint: a.endpoint}
		if a.err != nil {
			m.Error = a.err.Error()
		} else {
			m = saidOfItself(a)
		}
		all = append(all, m)
	}
	for _, l := range listed {
		id := hexID(l.ID)
		i := slices.IndexFunc(all, func(m plugins.StoreMember) bool {
			return m.ID == id || m.ID == "" && slices.Contains(l.ClientURLs, strings.TrimSuffix(m.Endpoint, "/"))
		})
		if i < 0 {
			all = append(all, plugins.StoreMember{Error: errNotNamed.Error()})
			i = len(all) - 1
		}
		all[i].ID, all[i].Name, all[i].Learner = id, l.Name, l.IsLearner
	}
	for i := range all { // also one that does not answer us, and answers the others
		all[i].Leader = leader != "" && all[i].ID == leader
	}
	slices.SortFunc(all, func(a, b plugins.StoreMember) int {
		return strings.Compare(a.Name+" "+a.ID+" "+a.Endpoint, b.Name+" "+b.ID+" "+b.Endpoint)
	})
	return all
}

func saidOfItself(a member) plugins.StoreMember {
	s := a.status
	refusal, warning := judgeVersion(s.Version)
	m := plugins.StoreMember{ID: hexID(s.Header.MemberId), Endpoint: a.endpoint, Version: s.Version, Learner: s.IsLearner,
		UsedBytes: s.DbSizeInUse, SizeBytes: s.DbSize, QuotaBytes: s.DbSizeQuota, Advice: refusal + warning}
	for _, e := range s.Errors {
		m.Alarms = append(m.Alarms, alarm(e))
	}
	return m
}

// alarm is what a member's status says is wrong: an alarm in protobuf's text form, or words such
// as "etcdserver: no leader".
func alarm(text string) string {
	for _, a := range []etcdserverpb.AlarmType{etcdserverpb.AlarmType_NOSPACE, etcdserverpb.AlarmType_CORRUPT} {
		if strings.Contains(text, a.String()) {
			return a.String()
		}
	}
	return strings.TrimPrefix(text, "etcdserver: ")
}

func hexID(id uint64) string { return fmt.Sprintf("%x", id) }
