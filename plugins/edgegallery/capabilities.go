package edgegallery

import (
	"maps"
	"net/http"
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// capability is a service in the words of MECM.
type capability struct {
	CapabilityID   string     `json:"capabilityId"`
	CapabilityName string     `json:"capabilityName"`
	Status         mp1.State  `json:"status"`
	Version        string     `json:"version"`
	Consumers      []consumer `json:"consumers"`
}

type consumer struct {
	ApplicationInstanceID string `json:"applicationInstanceId"`
}

// consumed is a service with the applications that are subscribed to its changes by name.
type consumed struct {
	*server.Service
	consumers map[string]bool
}

// consumers are the services that consumers see, in their order. A subscription to all services,
// or to those of a state, is to none in particular.
func (p *platform) consumers(r *http.Request) ([]consumed, error) {
	all, err := p.services.Discover(r.Context(), mp1.Filter{})
	if err != nil {
		return nil, err
	}
	out, byID := make([]consumed, len(all)), make(map[string]int, len(all))
	byName, byCategory := map[string][]string{}, map[mp1.CategoryRef][]string{}
	for i, s := range all {
		id := s.Info().SerInstanceID
		out[i], byID[id] = consumed{s, map[string]bool{}}, i
		byName[s.Info().SerName] = append(byName[s.Info().SerName], id)
		if c := s.Info().SerCategory; c != nil {
			byCategory[*c] = append(byCategory[*c], id)
		}
	}
	p.subscriptions(func(sub *server.Subscription) {
		f := sub.Asked.FilteringCriteria
		if f == nil {
			return
		}
		add := func(ids ...string) {
			for _, id := range ids {
				if i, ok := byID[id]; ok {
					out[i].consumers[sub.Owner] = true
				}
			}
		}
		add(f.SerInstanceIDs...)
		for _, name := range f.SerNames {
			add(byName[name]...)
		}
		for _, c := range f.SerCategories {
			add(byCategory[c]...)
		}
	})
	return out, nil
}

// maxCapabilityID is how many characters MECM's lcmcontroller takes as the id of a capability.
const maxCapabilityID = 36

// capabilityID is the serInstanceId where MECM takes that, else its last 32 characters: in ours
// these are random, and as many as an id of EdgeGallery's has.
func (c consumed) capabilityID() string {
	const shown = 32
	id := c.Info().SerInstanceID
	if len(id) > maxCapabilityID {
		return id[len(id)-shown:]
	}
	return id
}

func (c consumed) capability() capability {
	out := capability{CapabilityID: c.capabilityID(), CapabilityName: c.Info().SerName, Status: c.Info().State, Version: c.Info().Version, Consumers: []consumer{}}
	for _, app := range slices.Sorted(maps.Keys(c.consumers)) {
		out.Consumers = append(out.Consumers, consumer{app})
	}
	return out
}

// listCapabilities lists the services that consumers see, with who is subscribed to them.
func (p *platform) listCapabilities(w http.ResponseWriter, r *http.Request) error {
	all, err := p.consumers(r)
	if err != nil {
		return err
	}
	out := make([]capability, len(all))
	for i, c := range all {
		out[i] = c.capability()
	}
	server.WriteForGateway(w, http.StatusOK, out)
	return nil
}

// showCapability shows one, by either of its ids.
func (p *platform) showCapability(w http.ResponseWriter, r *http.Request) error {
	all, err := p.consumers(r)
	if err != nil {
		return err
	}
	id := r.PathValue("capabilityId")
	is := func(c consumed) bool { return c.Info().SerInstanceID == id || c.capabilityID() == id }
	i := slices.IndexFunc(all, is)
	if i < 0 {
		return heartbeat.ErrNotFound
	}
	server.WriteForGateway(w, http.StatusOK, all[i].capability())
	return nil
}
