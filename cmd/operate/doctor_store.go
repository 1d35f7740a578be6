package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/cmd/terminal"
	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/filesystem"
)

const (
	storePath = mp1.LivenessBase + "/store"
	mib       = 1 << 20
)

// storeState is how the servers of the store are.
type storeState struct {
	Kind string `json:"kind"`
	plugins.StoreHealth
}

// servers asks the server how those of its store are: it alone has their credentials.
func (d *Doctor) servers(ctx context.Context) {
	var s storeState
	if err := call(ctx, d.Server, http.MethodGet, storePath, nil, &s); err != nil {
		if !errors.Is(err, errOlder) {
			d.note("etcd", skipped, "", "%s", terminal.Cell(err.Error()))
		}
		return
	}
	if s.Kind == "cluster" {
		d.cluster(s)
		return
	}
	var quota int64
	for _, m := range s.Members {
		quota = m.QuotaBytes
		d.member(m, s.Kind)
	}
	if s.Disk != nil {
		d.judgeDisk(filesystem.Info{Kind: s.Disk.FileSystem, Remote: s.Disk.Remote, Free: uint64(max(s.Disk.FreeBytes, 0))}, uint64(max(quota, 0))) //nolint:gosec // neither is negative
	}
}

// cluster says what is wrong with a cluster and each of its members.
func (d *Doctor) cluster(s storeState) {
	var versions []string
	answering, voting, led := 0, 0, s.Leader != ""
	for _, m := range s.Members {
		if !m.Learner {
			voting++
		}
		led = led || m.Leader // an older server says no more
		if m.Error != "" {
			continue
		}
		answering++
		if !slices.Contains(versions, m.Version) {
			versions = append(versions, m.Version)
		}
	}
	slices.Sort(versions)
	const check = "etcd"
	version := terminal.Cell(strings.Join(versions, ", "))
	switch {
	case answering == 0:
		d.note(check, problem, "start it: without a majority of its members nothing can be registered", "none of %d members answers", len(s.Members))
	case !led:
		d.note(check, problem, "start its members, or mend the network between them: without a leader nothing can be registered", "no member that answers knows a leader")
	case len(versions) > 1:
		d.note(check, warning, "finish the upgrade", "its members have different versions: %s", version)
	case s.Unlisted == "" && voting < 3:
		d.note(check, warning, "three members survive the loss of one, fewer none", "version %s, %s", version, counted(voting, "member"))
	default:
		d.note(check, fine, "", "version %s, %d of %s", version, answering, counted(len(s.Members), "member")+" answer")
	}
	for _, m := range s.Members {
		d.member(m, s.Kind)
	}
	if s.Unlisted != "" && answering > 0 {
		d.note("etcd members", skipped, "a user of etcd may be kept from it; name all members in store.endpoints", "they cannot be listed: %s", terminal.Cell(s.Unlisted))
	}
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// member says what is wrong with a server of the store.
func (d *Doctor) member(m plugins.StoreMember, kind string) {
	name := m.Name
	for _, other := range []string{m.Endpoint, m.ID} {
		if name == "" {
			name = other
		}
	}
	check := "etcd " + terminal.Cell(name)
	used := 0.0
	if m.QuotaBytes > 0 {
		used = float64(m.UsedBytes) / float64(m.QuotaBytes)
	}
	switch {
	case m.Error != "" && kind == string(conf.Embedded): // which has no endpoint
		d.note(check, problem, "see the server's log, and whether its disk is slow", "it does not say whether it has an alarm: %s", terminal.Cell(m.Error))
	case m.Error != "" && m.Endpoint == "":
		d.note(check, warning, "name it there: nobody asks it when the others fail", "%s", terminal.Cell(m.Error))
	case m.Error != "":
		d.note(check, problem, "start it, or mend the way to it", "%s does not answer: %s", terminal.Cell(m.Endpoint), terminal.Cell(m.Error))
	case slices.Contains(m.Alarms, "NOSPACE"):
		d.note(check, problem, "compact and defragment it, raise its quota, and then: etcdctl alarm disarm", "alarm NOSPACE: it takes no writes")
	case len(m.Alarms) > 0:
		d.note(check, problem, "see its log; a corrupt member is removed from the cluster and added anew", "alarm: %s", terminal.Cell(strings.Join(m.Alarms, ", ")))
	case used > storeBad:
		d.note(check, problem, "compact and defragment it, or raise its quota", "its database is %.0f%% full", 100*used)
	case m.Advice != "":
		d.note(check, warning, "upgrade it", "it %s", terminal.Cell(m.Advice))
	case used > storeOdd:
		d.note(check, warning, "compact and defragment it, or raise its quota", "its database is %.0f%% full", 100*used)
	case m.Learner:
		d.note(check, warning, "promote it when it has caught up: it does not vote", "it is a learner")
	case m.QuotaBytes > 0:
		d.note(check, fine, "", "version %s, no alarm, its database is %.0f%% full", terminal.Cell(m.Version), 100*used)
	default:
		d.note(check, fine, "", "version %s, no alarm, %d MiB in use of a quota that it does not say", terminal.Cell(m.Version), m.UsedBytes/mib)
	}
}

// folder looks at the folder of an embedded store on this machine; on also at its disk, of which
// no server could be asked.
func (d *Doctor) folder(s conf.Store, on bool) {
	info, err := os.Stat(s.DataDir)
	switch {
	case err != nil:
		d.note("disk", problem, "--data-dir or --config names the folder of the store", "%s", terminal.Cell(err.Error()))
		return
	case info.Mode().Perm()&0o077 != 0:
		d.note("data folder", warning, "chmod 700 it: whoever reads it reads every registration and key", "others may open %s", terminal.Cell(s.DataDir))
	}
	if !on {
		return
	}
	i, err := filesystem.Of(s.DataDir)
	if err != nil {
		d.note("disk", skipped, "", "%s", terminal.Cell(err.Error()))
		return
	}
	d.judgeDisk(i, uint64(s.QuotaBytes))
}

// judgeDisk says whether a store may lie on such a file system.
func (d *Doctor) judgeDisk(i filesystem.Info, quota uint64) {
	switch {
	case i.Remote || i.Kind == "FUSE":
		d.note("disk", problem, "etcd needs a disk of this machine: its locks and its fsync cannot be relied on there", "the store lies on %s", terminal.Cell(i.Kind))
	case i.Free < 512*mib:
		d.note("disk", problem, "make room: etcd stops when it cannot write", "%d MiB are free", i.Free/mib)
	case i.Kind == "tmpfs":
		d.note("disk", warning, "it is gone with the next start of the machine", "the store lies in memory (tmpfs)")
	case i.Free < 2*quota:
		d.note("disk", warning, "store.quotaBytes is what the database may grow to, and its log needs room beside it", "%d MiB are free, and the database may grow to %d MiB", i.Free/mib, quota/mib)
	default:
		d.note("disk", fine, "", "%d MiB are free", i.Free/mib)
	}
}

// unmarshal reads a part of an answer.
func unmarshal(b json.RawMessage, into any) bool { return json.Unmarshal(b, into) == nil }
