package agent

import (
	"cmp"
	"slices"

	"github.com/mec-liveness/mepserver/mp1"
)

// wanted is a service whose registration is looked for in the application's list.
type wanted struct {
	info  mp1.ServiceInfo
	saved savedService // what the state file has of it; zero: nothing
	gone  string       // a serInstanceId that is not its registration any more, whatever a list shows
}

// found is the registration of a wanted service.
type found struct {
	listed  bool
	info    mp1.ServiceInfo // as the platform shows it
	differs bool            // the platform has it otherwise than it is configured
}

// candidate is a registration of the list.
type candidate struct {
	form
	info mp1.ServiceInfo
}

// matching gives services their registrations.
type matching struct {
	services []wanted
	forms    []form                 // of the services
	shown    map[string][]candidate // by name and version, in the order of their ids
	taken    map[string]bool        // serInstanceIds
	hosts    []string               // of the platform's endpoints, with their ports
	out      []found
}

// findRegistrations finds the registration of each service in the application's list
// (ADR 0030). None is given twice, nor one of those that are taken, which it adds to. hosts
// are those of the platform's endpoints, with their ports.
func findRegistrations(services []wanted, list []mp1.ServiceInfo, taken map[string]bool, hosts []string) []found {
	m := &matching{services: services, shown: map[string][]candidate{}, taken: taken, hosts: hosts, out: make([]found, len(services))}
	names := map[string]bool{}
	for _, w := range services {
		f := formOf(w.info)
		m.forms = append(m.forms, f)
		names[f.name] = true
	}
	byID := map[string]mp1.ServiceInfo{}
	for _, info := range list {
		byID[info.SerInstanceID] = info
		if name := nameOf(info); names[name] && info.SerInstanceID != "" {
			m.shown[name] = append(m.shown[name], candidate{formOf(info), info})
		}
	}
	for _, all := range m.shown { // agents that start together choose the same
		slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.info.SerInstanceID, b.info.SerInstanceID) })
	}
	// The ids of the state file count before any likeness: another service may look the same.
	for i, w := range services {
		if info, there := byID[w.saved.ID]; there && w.saved.ID != "" && m.free(i, w.saved.ID) {
			digest, err := digest(w.info)
			m.give(i, info, err != nil || w.saved.Digest != digest)
		}
	}
	for _, alike := range levels {
		for i := range services {
			m.byLikeness(i, alike)
		}
	}
	m.byRewriting()
	return m.out
}

// free reports whether a service may be given a registration.
func (m *matching) free(i int, id string) bool {
	return !m.out[i].listed && !m.taken[id] && id != m.services[i].gone
}

func (m *matching) give(i int, info mp1.ServiceInfo, differs bool) {
	m.taken[info.SerInstanceID] = true
	m.out[i] = found{listed: true, info: info, differs: differs}
}

// byLikeness gives a service the first registration at its endpoint that is alike.
func (m *matching) byLikeness(i int, alike func(ours, shown form) bool) {
	ours := m.forms[i]
	for _, c := range m.shown[ours.name] {
		if m.free(i, c.info.SerInstanceID) && ours.sameEndpoint(c.form) && alike(ours, c.form) {
			m.give(i, c.info, describedOtherwise(m.services[i].info, c.info, ours, c.form))
			return
		}
	}
}

// byRewriting gives what is left of one name, version and transport to the services that look
// for one, where the platform shows other endpoints than it was given, or where the path of
// one has changed. If more are left than services look for one, nobody knows which is whose.
func (m *matching) byRewriting() {
	type kind struct{ name, transport string }
	looking := map[kind][]int{}
	for i, f := range m.forms {
		if !m.out[i].listed && f.endpoint != "" {
			looking[kind{f.name, f.transport}] = append(looking[kind{f.name, f.transport}], i)
		}
	}
	asGiven := m.showsEndpointsAsGiven()
	for k, services := range looking {
		var left []candidate
		for _, c := range m.shown[k.name] {
			if c.transport == k.transport && !m.taken[c.info.SerInstanceID] {
				left = append(left, c)
			}
		}
		if len(left) > len(services) {
			continue
		}
		for _, c := range left {
			for _, i := range services {
				ours := m.forms[i]
				if m.free(i, c.info.SerInstanceID) && m.mayBeRewritten(ours, c, asGiven) {
					shown := c.form
					if !sameHosts(ours, shown) {
						shown.endpoint = ours.endpoint // the platform's doing
					}
					m.give(i, c.info, describedOtherwise(m.services[i].info, c.info, ours, shown))
				}
			}
		}
	}
}

// showsEndpointsAsGiven reports whether the platform shows an endpoint with a host as it
// was registered: then it rewrites none.
func (m *matching) showsEndpointsAsGiven() bool {
	for i, f := range m.out {
		if ours := m.forms[i]; f.listed && len(ours.hosts) > 0 && formOf(f.info).endpoint == ours.endpoint {
			return true
		}
	}
	return false
}

// mayBeRewritten reports whether a registration at another endpoint may be the service's own.
// One whose endpoint differs in host and port only is another instance's.
func (m *matching) mayBeRewritten(ours form, c candidate, asGiven bool) bool {
	switch {
	case sameHosts(ours, c.form):
		return true // its path has changed, or its form
	case asGiven:
		return false
	case edgeGallerysForm(c.info):
		return true
	case len(c.hosts) > 0 && !slices.ContainsFunc(c.hosts, func(h string) bool { return !slices.Contains(m.hosts, h) }):
		return true // at the platform itself
	}
	return ours.around != c.around
}
