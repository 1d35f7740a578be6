package operate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/cmd/terminal"
)

const (
	storeOdd = 0.7 // of its quota
	storeBad = 0.9
	// lateGap is how much of a window may pass between two heartbeats before that is odd.
	lateGap  = 0.75
	maxNames = 5
)

// state finds what the server itself knows to be odd; false: it does not say.
func (d *Doctor) state(ctx context.Context) bool {
	all, err := Services(ctx, d.Server, Query{})
	if err != nil {
		d.note("state", problem, "give a credential with the role reader", "it cannot be read: %s", terminal.Cell(err.Error()))
		return false
	}
	var p Platform
	var c Counts
	if !unmarshal(all.Platform, &p) || !unmarshal(all.Counts, &c) {
		d.note("state", problem, "", "%v", errNoState)
		return false
	}
	d.store(p)
	d.replicas(p)
	d.expiry(p)
	d.notifications(p)
	d.services(all, c)
	return true
}

func (d *Doctor) store(p Platform) {
	s := p.Store
	used := 0.0
	if s.QuotaBytes > 0 {
		used = float64(s.UsedBytes) / float64(s.QuotaBytes)
	}
	const hint = "raise store.quotaBytes, or find who registers so much: mepserver services -o wide"
	switch {
	case !s.Ready:
		d.note("store", problem, "see the server's log, and that of etcd", "it does not answer: nothing can be registered, and nobody is suspended")
	case s.Full:
		d.note("store", problem, hint, "it is full: registrations are refused")
	case used > storeBad:
		d.note("store", problem, hint, "it is %.0f%% full", 100*used)
	case used > storeOdd:
		d.note("store", warning, hint, "it is %.0f%% full", 100*used)
	case s.QuotaBytes > 0:
		d.note("store", fine, "", "%s, %.0f%% full", terminal.Cell(s.Kind), 100*used)
	default:
		d.note("store", fine, "", "%s", terminal.Cell(s.Kind))
	}
}

func (d *Doctor) replicas(p Platform) {
	switch n := len(p.Replicas); {
	case p.Store.Kind == "cluster" && n < 2:
		d.note("replicas", warning, "start another server over the same etcd: while there is one alone, nobody takes over", "there is one replica")
	case n > 1:
		d.note("replicas", fine, "", "%d are alive", n)
	default:
		d.note("replicas", fine, "", "it is the only one, with a store of its own")
	}
}

func (d *Doctor) expiry(p Platform) {
	if !p.Expiry.Held {
		d.note("expiry", fine, "", "silent services are suspended")
		return
	}
	until := ""
	if !p.Expiry.Until.IsZero() {
		until = ", until " + p.Expiry.Until.UTC().Format("15:04:05") + " UTC at the latest"
	}
	d.note("expiry", warning, "wait, and look again; if it stays, the store or this machine was disturbed: see the server's log", "nobody is suspended now: %s%s", cmp.Or(p.Expiry.Reason, "no reason is given"), until)
}

func (d *Doctor) notifications(p Platform) {
	switch n := p.Notifications; {
	case n.Failing > 0:
		d.note("notifications", warning, "mepserver services ID names who is not told, and why", "%d subscriptions cannot be told; %d events wait", n.Failing, n.Pending)
	default:
		d.note("notifications", fine, "", "no subscription fails; %d events wait", n.Pending)
	}
}

// services finds services that are late, that beat late, and that nobody watches.
func (d *Doctor) services(all *State, c Counts) {
	var late, slow, unwatched []string
	for _, one := range all.Services {
		s, err := decode(one)
		if err != nil {
			continue
		}
		switch {
		case s.Late:
			late = append(late, s.Name)
		case s.Interval == 0 && s.State == "ACTIVE":
			unwatched = append(unwatched, s.Name)
		case s.Interval > 0 && len(s.Gaps) > 0 && slices.Max(s.Gaps) > lateGap*float64(s.Window):
			slow = append(slow, fmt.Sprintf("%s (%.1f s of %d s)", s.Name, slices.Max(s.Gaps), s.Window))
		}
	}
	switch {
	case c.Suspended > 0:
		d.note("services", warning, "mepserver services --state SUSPENDED says since when and why", "%d of %d SUSPENDED", c.Suspended, c.Total)
	default:
		d.note("services", fine, "", "%d, none is SUSPENDED", c.Total)
	}
	d.named("late", late, "look at their agents and at the network between: they die next", "have not been heard for longer than their interval")
	d.named("gaps", slow, "their agents have too little CPU or a bad network; give them a longer interval", "have been silent for most of their window")
	d.named("unwatched", unwatched, "register them with livenessInterval, or let mep-agent do it", "send no heartbeats: they are ACTIVE for ever, also when they are dead")
}

// named notes services of which something is odd, if there are any.
func (d *Doctor) named(check string, names []string, hint, what string) {
	if len(names) == 0 {
		d.note(check, fine, "", "none")
		return
	}
	n := len(names)
	if n > maxNames {
		names = append(names[:maxNames:maxNames], "…")
	}
	d.note(check, warning, hint, "%d %s: %s", n, what, strings.Join(names, ", "))
}
