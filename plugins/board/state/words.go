package state

import (
	"fmt"
	"math"
	"slices"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
)

// platform is how the platform is, as this replica knows it.
func (r *Room) platform(o *order, _ int64) platform {
	s, usage := &o.survey, r.base.StoreUsage()
	p := platform{Version: r.host.Version, StartedAt: stamp(r.started), Replicas: []replica{{ID: r.base.Name(), Self: true}},
		Store: store{Kind: storeKind(r.host.Config), Ready: s.Answering, UsedBytes: usage.Used, QuotaBytes: usage.Quota, Full: s.Full || usage.Short},
		Load:  load{HeartbeatsPerMinute: round(s.Beats), ExpectedPerMinute: round(s.Expected)}}
	if r.host.Telling != nil {
		p.Notifications.Pending, p.Notifications.FailingSubscriptions = r.host.Telling.Backlog()
	}
	others := slices.Clone(s.Replicas)
	slices.Sort(others)
	for _, id := range others {
		p.Replicas = append(p.Replicas, replica{ID: id})
	}
	if x := &s.Expiry; x.By != heartbeat.NotHeld {
		p.Expiry = expiry{Held: true, Reason: sentence(x), Since: stamp(x.Since), Until: stamp(x.Until)}
	}
	return p
}

// storeKind is what the store is, in the words of the answers.
func storeKind(c conf.Config) string {
	if c.Store.Kind == conf.Etcd {
		return "cluster"
	}
	return "embedded"
}

func round(x float64) float64 { return math.Round(x*10) / 10 }

// sentence says for people why nobody is found dead, or removed.
func sentence(x *heartbeat.Expiry) string {
	switch x.By {
	case heartbeat.StoreFull:
		return "The store is full: no service can be SUSPENDED before it takes writes again. Delete what nobody needs, or raise its quota."
	case heartbeat.StoreSilent:
		return "The store does not answer: no service can be SUSPENDED before it does, and then each gets its window again."
	case heartbeat.Disturbed:
		return fmt.Sprintf("%s: heartbeats may have been missed, so each service gets its window again in which to be heard (%s).", doubt(x.Doubt), waiting(x.Services))
	case heartbeat.RateLimited:
		return fmt.Sprintf("%s at once: they are SUSPENDED one after the other, so that the store has room for heartbeats.", silentOnes(x.Services))
	case heartbeat.PeersAwaited:
		return fmt.Sprintf("%s here, and another replica has not said yet whether it heard them.", silentOnes(x.Services))
	case heartbeat.MassEnd:
		return fmt.Sprintf("Very many services vanished at once (%d have not come back): none is removed for having been SUSPENDED too long. Deaths are found all the same.", x.Services)
	default:
		return ""
	}
}

// doubt says what disturbed a replica.
func doubt(reason string) string {
	switch reason {
	case "start":
		return "The platform was started"
	case "pause":
		return "The platform was paused, or had no processor"
	case "store":
		return "The store did not answer for a while"
	case "restored":
		return "The store was restored from a backup"
	default:
		return "The platform lost its view of the store for a moment"
	}
}

func waiting(n int) string {
	if n == 1 {
		return "1 service waits for that"
	}
	return fmt.Sprintf("%d services wait for that", n)
}

func silentOnes(n int) string {
	if n == 1 {
		return "1 service is silent"
	}
	return fmt.Sprintf("%d services are silent", n)
}
