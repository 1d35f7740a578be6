package conf

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"
)

// serviceReader reads the services of a file.
type serviceReader struct {
	validate func(info []byte) error
	services []AgentService
	faulty   bool // a service was there, but with faults
}

// lists are the keys of the file that a list of settings has no room for.
func (r *serviceReader) lists() []listSchema {
	form := serviceShape()
	return []listSchema{
		{"services", func(d *document, n *yaml.Node) { r.read(d, n, "services", form, false) }},
		// the keys of EdgeGallery's app_instance_info.yaml
		{"serviceInfoPosts", func(d *document, n *yaml.Node) { r.read(d, n, "serviceInfoPosts", form, true) }},
		{"serAvailabilityNotificationSubscriptions", func(*document, *yaml.Node) {}}, // ignored, as EdgeGallery's agent ignores it
		{"appInstanceId", func(d *document, n *yaml.Node) {
			d.values = append(d.values, value{path: "application.id", where: d.at(n), rank: rankFile, words: []string{n.Value}})
		}},
	}
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
	duration
)

// kindWords say in a fault what a value must be.
var kindWords = [...]string{"text", "a whole number", "true or false", "a list of text", "a set of keys", "a list", "anything",
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
func serviceShape() shape {
	endpoint := nested("endpoint", object, members(textList, "uris", "fqdn"),
		nested("addresses", objectList, members(text, "host"), members(integer, "port")), members(anything, "alternative"))
	security := nested("security", object, nested("oAuth2Info", object, members(textList, "grantTypes"), members(text, "tokenEndpoint")))
	return shape{object, slices.Concat(
		members(text, "serName"),
		nested("serCategory", object, members(text, "href", "id", "name", "version")),
		members(text, "version", "state", "transportId"),
		nested("transportInfo", object, members(text, "id", "name", "description", "type", "protocol", "version"), endpoint, security, members(anything, "implSpecificInfo")),
		members(text, "serializer", "scopeOfLocality"), members(boolean, "consumedLocalOnly", "isLocal"), members(integer, "livenessInterval"),
		members(anything, "_links"),
		nested("probe", object, members(text, "tcp", "http"), members(textList, "exec"), members(duration, "interval", "timeout"), members(integer, "failures")),
	)}
}

// serviceNode is one service while it is read.
type serviceNode struct {
	*document
	lines   map[string]int // of each attribute, for faults that are found later
	lenient bool           // a number is taken where text must be, as EdgeGallery's agent takes it
	path    string         // of the service, such as services[0]
}

// read reads the list of services at path.
func (r *serviceReader) read(d *document, n *yaml.Node, path string, form shape, lenient bool) {
	if n.Kind != yaml.SequenceNode {
		r.faulty = true
		d.faults.add(d.at(n), path, "must be a list of services, not %s", kindOf(n))
		return
	}
	for i, item := range n.Content {
		sn := &serviceNode{document: d, lines: map[string]int{"": item.Line}, lenient: lenient, path: fmt.Sprintf("%s[%d]", path, i)}
		before := len(d.faults)
		v := sn.value(item, form, "")
		m, ok := v.(map[string]any)
		if !ok {
			r.faulty = true
			continue
		}
		s := AgentService{Probe: sn.probe(m["probe"])}
		delete(m, "probe")
		delete(m, "_links")
		info, err := json.Marshal(m)
		if err != nil {
			sn.fault("", "cannot be written as JSON")
		}
		s.Info = info
		for _, w := range violations(r.validate(info)) {
			if !sn.alreadyBlamed(w.Attribute, d.faults[before:]) {
				sn.fault(w.Attribute, "%s", w.Rule)
			}
		}
		r.faulty = r.faulty || len(d.faults) > before
		r.services = append(r.services, s)
	}
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

// value reads a node as what encoding/json would read for it, nil if it is absent or a fault.
func (sn *serviceNode) value(n *yaml.Node, s shape, at string) any {
	refuse := func() any {
		sn.faults.add(sn.document.at(n), strings.TrimSuffix(sn.path+"."+at, "."), "must be %s, not %s", kindWords[s.kind], kindOf(n))
		return nil
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil // absent, as on the wire
	}
	switch s.kind {
	case object:
		if n.Kind != yaml.MappingNode {
			return refuse()
		}
		return sn.object(n, s, at)
	case objectList, textList:
		if n.Kind != yaml.SequenceNode {
			return refuse()
		}
		list := []any{}
		for _, item := range n.Content {
			inner := shape{kind: text}
			if s.kind == objectList {
				inner = shape{object, s.keys}
			}
			list = append(list, sn.value(item, inner, at))
		}
		return list
	case anything:
		var v any
		if err := n.Decode(&v); err != nil {
			return refuse()
		}
		return v
	}
	if v, ok := sn.scalar(n, s.kind); ok {
		return v
	}
	return refuse()
}

// scalar reads a single value; ok is false if it is not of the kind.
func (sn *serviceNode) scalar(n *yaml.Node, k kind) (v any, ok bool) {
	if n.Kind != yaml.ScalarNode {
		return nil, false
	}
	switch k {
	case text, duration:
		return n.Value, n.Tag == "!!str" || sn.lenient && (n.Tag == "!!int" || n.Tag == "!!float")
	case integer:
		if n.Tag == "!!float" { // 60.0 is the same number, here as on the wire
			f, err := strconv.ParseFloat(n.Value, 64)
			return json.Number(strconv.FormatInt(int64(f), 10)), err == nil && f == math.Trunc(f) && math.Abs(f) <= math.MaxInt32
		}
		var i int64
		return json.Number(n.Value), n.Tag == "!!int" && json.Unmarshal([]byte(n.Value), &i) == nil
	default:
		return n.Value == "true", n.Tag == "!!bool" && (n.Value == "true" || n.Value == "false")
	}
}

// object reads the keys of an object. Unknown and repeated keys are faults.
func (sn *serviceNode) object(n *yaml.Node, s shape, at string) map[string]any {
	out := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		path := strings.TrimPrefix(at+"."+key.Value, ".")
		full := sn.path + "." + path
		m := slices.IndexFunc(s.keys, func(m member) bool { return m.name == key.Value })
		if key.Kind != yaml.ScalarNode || m < 0 {
			var names []string
			for _, m := range s.keys {
				names = append(names, m.name)
			}
			sn.faults.add(sn.document.at(key), sn.path+strings.TrimSuffix("."+at, ".")+"."+plain(key.Value),
				"is not a key of a service; there are %s", strings.Join(names, ", "))
			continue
		}
		if _, twice := out[key.Value]; twice {
			sn.faults.add(sn.document.at(key), full, "must stand once; it stands in line %d already", sn.lines[path])
			continue
		}
		if _, met := sn.lines[path]; !met {
			sn.lines[path] = key.Line
		}
		if v := sn.value(val, s.keys[m].shape, path); v != nil {
			out[key.Value] = v
		}
	}
	return out
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
