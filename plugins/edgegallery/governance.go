package edgegallery

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// listServices lists the services that consumers see, for MECM.
func (p *platform) listServices(w http.ResponseWriter, r *http.Request) error {
	all, err := p.services.Discover(r.Context(), mp1.Filter{})
	if err != nil {
		return err
	}
	data := make([]json.RawMessage, len(all))
	for i, s := range all {
		data[i] = s.ForGateway()
	}
	server.WriteForGateway(w, http.StatusOK, answer{Data: data})
	return nil
}

// statistic says how many applications are subscribed to services, and to which.
type statistic struct {
	SubscribeNum struct {
		AppSubscribeNum      int `json:"appSubscribeNum"`
		ServiceSubscribedNum int `json:"serviceSubscribedNum"`
	} `json:"subscribeNum"`
	SubscribeRelations []relation `json:"subscribeRelations"`
}

type relation struct {
	SubscribeAppID string   `json:"subscribeAppId"`
	ServiceList    []string `json:"serviceList"` // serInstanceIds
}

// countSubscriptions counts the subscriptions to changes of services, for MECM. An application
// is subscribed to the services that its criteria name, and to those that have one of their names
// or categories. EdgeGallery's own leaves the latter out, so that MECM's pages draw no line to
// them.
func (p *platform) countSubscriptions(w http.ResponseWriter, r *http.Request) error {
	all, err := p.consumers(r)
	if err != nil {
		return err
	}
	s := statistic{SubscribeRelations: []relation{}}
	byApp, names := map[string]map[string]bool{}, map[string]bool{}
	of := func(app string) map[string]bool {
		if byApp[app] == nil {
			byApp[app] = map[string]bool{}
		}
		return byApp[app]
	}
	for _, svc := range all {
		for app := range svc.consumers {
			of(app)[svc.Info().SerInstanceID] = true
			names[svc.Info().SerName] = true
		}
	}
	p.subscriptions(func(sub *server.Subscription) {
		ids := of(sub.Owner)
		if f := sub.Asked.FilteringCriteria; f != nil { // of services that are not there, too
			for _, id := range f.SerInstanceIDs {
				ids[id] = true
			}
			for _, name := range f.SerNames {
				names[name] = true
			}
		}
	})
	s.SubscribeNum.AppSubscribeNum, s.SubscribeNum.ServiceSubscribedNum = len(byApp), len(names)
	for app, ids := range byApp {
		s.SubscribeRelations = append(s.SubscribeRelations, relation{app, slices.AppendSeq([]string{}, maps.Keys(ids))})
	}
	for _, one := range s.SubscribeRelations {
		slices.Sort(one.ServiceList)
	}
	slices.SortFunc(s.SubscribeRelations, func(a, b relation) int { return cmp.Compare(a.SubscribeAppID, b.SubscribeAppID) })
	server.WriteForGateway(w, http.StatusOK, answer{Data: s})
	return nil
}
