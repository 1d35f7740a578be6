package conf

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"
)

// serviceReader reads the services of a file.
type serviceReader struct {
	validate func(info []byte) error
	services []AgentService
	warnings Faults

	instanceInfo bool // the file has keys of EdgeGallery's app_instance_info.yaml
	followed     int  // values behind its aliases and merges
}

// lists are the keys of the file that a list of settings has no room for.
func (r *serviceReader) lists() []listSchema {
	return append([]listSchema{
		{"services", func(d *document, n *yaml.Node) { r.read(d, n, "services", false) }},
	}, r.instanceInfoLists()...)
}

// shape is the form of a value in the description of a service.
type shape struct {
	kind kind
	keys []member // of an object, or of each object of a list
}

// member is a key of an object, and the form of its value.
type member struct {
	name string
	shape
}

// kind is a type of values in YAML.
type kind int

const (
	text kind = iota
	integer
	boolean
	textList
	object
	objectList
	anything // what only applications understand
	ignored  // what only answers have
	duration
)

// kindWords say in a fault what a value must be.
var kindWords = [...]string{"text", "a whole number", "true or false", "a list of text", "a set of keys", "a list", "anything", "anything",
	"a Go duration with its unit such as 500ms, 5s or 1m"}

// members are keys whose values are of one kind.
func members(k kind, names ...string) (out []member) {
	for _, n := range names {
		out = append(out, member{n, shape{kind: k}})
	}
	return out
}

// nested is a key whose value is an object or a list of objects with keys of their own.
func nested(name string, k kind, keys ...[]member) []member {
	return []member{{name, shape{k, slices.Concat(keys...)}}}
}

// serviceShape is the form of a service: ServiceInfo as MEC 011 v3.1.1 §8.1.2.2 has it, and
// the probe, which is ours. Which values are allowed is the business of validate.
// EdgeGallery's agent has two more keys, which it does not use.
func serviceShape(edgeGallery bool) shape {
	var more []member
	if edgeGallery {
		more = members(ignored, "links", "serinstanceid")
	}
	endpoint := nested("endpoint", object, members(textList, "uris", "fqdn"),
		nested("addresses", objectList, members(text, "host"), members(integer, "port")), members(anything, "alternative"))
	security := nested("security", object, nested("oAuth2Info", object, members(textList, "grantTypes"), members(text, "tokenEndpoint")))
	return shape{object, slices.Concat(
		members(text, "serName"),
		nested("serCategory", object, members(text, "href", "id", "name", "version")),
		members(text, "version", "state", "transportId"),
		nested("transportInfo", object, members(text, "id", "name", "description", "type", "protocol", "version"), endpoint, security, members(anything, "implSpecificInfo")),
		members(text, "serializer", "scopeOfLocality"), members(boolean, "consumedLocalOnly", "isLocal"), members(integer, "livenessInterval"),
		members(ignored, "_links"), more,
		nested("probe", object, members(text, "tcp", "http"), members(textList, "exec"), members(duration, "interval", "timeout"), members(integer, "failures")),
	)}
}

// serviceNode is one service while it is read.
type serviceNode struct {
	*document
	reader      *serviceReader
	lines       map[string]int      // of each attribute, for faults that are found later
	edgeGallery bool                // it is read as EdgeGallery's agent reads it: see agent_instanceinfo.go
	merging     map[*yaml.Node]bool // maps that are being merged
	path        string              // of the service, such as services[0]
}

// read reads the list of services at path.
func (r *serviceReader) read(d *document, n *yaml.Node, path string, edgeGallery bool) {
	list := &serviceNode{document: d, reader: r, lines: map[string]int{"": n.Line}, edgeGallery: edgeGallery, path: path}
	if n = list.follow(n, ""); n == nil || isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.faults.add(d.at(n), path, "must be a list of services, not %s", kindOf(n))
		return
	}
	form := serviceShape(edgeGallery)
	for i, item := range n.Content {
		sn := &serviceNode{document: d, reader: r, lines: map[string]int{"": item.Line}, edgeGallery: edgeGallery,
			merging: map[*yaml.Node]bool{}, path: fmt.Sprintf("%s[%d]", path, i)}
		before := len(d.faults)
		m, ok := sn.value(item, form, "", nil).(map[string]any)
		if !ok {
			if len(d.faults) == before {
				sn.fault("", "must be a set of keys, not empty")
			}
			continue
		}
		s := AgentService{Probe: sn.probe(m["probe"])}
		s.Info = sn.info(m)
		for _, w := range violations(r.validate(s.Info)) {
			if !sn.alreadyBlamed(w.Attribute, d.faults[before:]) {
				sn.fault(w.Attribute, "%s", w.Rule)
			}
		}
		r.services = append(r.services, s)
	}
}

// info is the description of a service, as it is registered.
func (sn *serviceNode) info(m map[string]any) []byte {
	delete(m, "probe")
	if sn.edgeGallery {
		fillAsEdgeGallery(m)
	}
	info, err := json.Marshal(m)
	if err != nil {
		sn.fault("", "cannot be written as JSON")
	}
	if sn.edgeGallery {
		return completeAsEdgeGallery(info)
	}
	return info
}

// fault adds a fault of an attribute, with the line of the attribute or, if that is missing,
// of what it should be in.
func (sn *serviceNode) fault(attribute, format string, args ...any) {
	near := attribute
	for near != "" && sn.lines[near] == 0 {
		near = near[:max(strings.LastIndexByte(near, '.'), 0)]
	}
	sn.faults.add(fmt.Sprintf("%s:%d", sn.name, sn.lines[near]), strings.TrimSuffix(sn.path+"."+attribute, "."), format, args...)
}

// alreadyBlamed reports whether one of the faults is of the attribute, of what contains it or
// of what it contains. Another fault would repeat that one: what was refused is missing.
func (sn *serviceNode) alreadyBlamed(attribute string, faults Faults) bool {
	path := strings.TrimSuffix(sn.path+"."+attribute, ".")
	return slices.ContainsFunc(faults, func(f Fault) bool {
		return f.Path == path || strings.HasPrefix(f.Path, path+".") || strings.HasPrefix(path, f.Path+".")
	})
}

const (
	defaultProbeInterval = 5 * time.Second
	defaultProbeTimeout  = time.Second
	defaultProbeFailures = 3
)

// probe makes the probe of a service of what value read for it, nil if it has none.
func (sn *serviceNode) probe(v any) *AgentProbe {
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	p := &AgentProbe{Interval: defaultProbeInterval, Timeout: defaultProbeTimeout, Failures: defaultProbeFailures}
	p.TCP, _ = m["tcp"].(string)
	p.HTTP, _ = m["http"].(string)
	if list, ok := m["exec"].([]any); ok {
		for _, word := range list {
			s, _ := word.(string)
			p.Exec = append(p.Exec, s)
		}
	}
	for _, d := range []struct {
		name string
		to   *time.Duration
	}{{"interval", &p.Interval}, {"timeout", &p.Timeout}} {
		if s, ok := m[d.name].(string); ok {
			parsed, err := time.ParseDuration(s)
			if err != nil {
				sn.fault("probe."+d.name, "must be a Go duration such as 500ms, 5s or 1m, not %s", shown(s))
				continue
			}
			*d.to = parsed
		}
	}
	if n, ok := m["failures"].(json.Number); ok {
		i, err := n.Int64()
		if err != nil || i < 1 || i > 1000 {
			sn.fault("probe.failures", "must be from 1 to 1000, not %s", n)
		} else {
			p.Failures = int(i)
		}
	}
	sn.checkProbe(p)
	return p
}
