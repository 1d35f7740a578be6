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

// reader reads the services of a file.
type serviceReader struct {
	validate func(info []byte) []Violation
	services []AgentService
	faulty   bool // a service was there, and wrong
}

func (r *serviceReader) lists() []objects {
	ours := serviceShape()
	return []objects{
		{"services", func(d *document, n *yaml.Node) { r.read(d, n, "services", ours, false) }},
		// the keys of EdgeGallery's app_instance_info.yaml
		{"serviceInfoPosts", func(d *document, n *yaml.Node) { r.read(d, n, "serviceInfoPosts", ours, true) }},
		{"serAvailabilityNotificationSubscriptions", func(*document, *yaml.Node) {}}, // its agent ignores it, too
		{"appInstanceId", func(d *document, n *yaml.Node) {
			d.values = append(d.values, value{path: "application.id", where: d.at(n), rank: rankFile, words: []string{n.Value}})
		}},
	}
}

// shape is what may stand at one place of a service.
type shape struct {
	kind kind
	keys []member
}

type member struct {
	name string
	shape
}

type kind int

const (
	text kind = iota
	integer
	boolean
	textList
	object
	objectList
	anything // only the application understands it
	duration
)

var kindWords = [...]string{"text", "a whole number", "true or false", "a list of text", "a set of keys", "a list", "anything",
	"a Go duration with its unit such as 500ms, 5s or 1m"}

func members(k kind, names ...string) (out []member) {
	for _, n := range names {
		out = append(out, member{n, shape{kind: k}})
	}
	return out
}

func memberOf(name string, k kind, keys ...[]member) []member {
	return []member{{name, shape{k, slices.Concat(keys...)}}}
}

// service is the form of a service: ServiceInfo as MEC 011 v3.1.1 §8.1.2.2 has it,
// and the probe, which is ours. What the values must be is said by the judge.
func serviceShape() shape {
	endpoint := memberOf("endpoint", object, members(textList, "uris", "fqdn"),
		memberOf("addresses", objectList, members(text, "host"), members(integer, "port")), members(anything, "alternative"))
	security := memberOf("security", object, memberOf("oAuth2Info", object, members(textList, "grantTypes"), members(text, "tokenEndpoint")))
	return shape{object, slices.Concat(
		members(text, "serName"),
		memberOf("serCategory", object, members(text, "href", "id", "name", "version")),
		members(text, "version", "state", "transportId"),
		memberOf("transportInfo", object, members(text, "id", "name", "description", "type", "protocol", "version"), endpoint, security, members(anything, "implSpecificInfo")),
		members(text, "serializer", "scopeOfLocality"), members(boolean, "consumedLocalOnly", "isLocal"), members(integer, "livenessInterval"),
		members(anything, "_links"),
		memberOf("probe", object, members(text, "tcp", "http"), members(textList, "exec"), members(duration, "interval", "timeout"), members(integer, "failures")),
	)}
}

// one is one service while it is read.
type serviceNode struct {
	*document
	lines   map[string]int // of each attribute, to blame it later
	lenient bool           // numbers are taken for text, as EdgeGallery's agent does
	path    string
}

func (r *serviceReader) read(d *document, n *yaml.Node, path string, form shape, loose bool) {
	if n.Kind != yaml.SequenceNode {
		r.faulty = true
		d.faults.add(d.at(n), path, "must be a list of services, not %s", kindOf(n))
		return
	}
	for i, item := range n.Content {
		o := &serviceNode{document: d, lines: map[string]int{"": item.Line}, lenient: loose, path: fmt.Sprintf("%s[%d]", path, i)}
		before := len(d.faults)
		v := o.value(item, form, "")
		m, ok := v.(map[string]any)
		if !ok {
			r.faulty = true
			continue
		}
		s := AgentService{Probe: o.probe(m["probe"])}
		delete(m, "probe")
		delete(m, "_links")
		info, err := json.Marshal(m)
		if err != nil {
			o.fault("", "cannot be written as JSON")
		}
		s.Info = info
		for _, w := range r.validate(info) {
			if !o.alreadyBlamed(w.Attribute, d.faults[before:]) {
				o.fault(w.Attribute, "%s", w.Rule)
			}
		}
		r.faulty = r.faulty || len(d.faults) > before
		r.services = append(r.services, s)
	}
}

// fault blames an attribute, by the line of the nearest key that is there.
func (o *serviceNode) fault(attribute, format string, args ...any) {
	near := attribute
	for near != "" && o.lines[near] == 0 {
		near = near[:max(strings.LastIndexByte(near, '.'), 0)]
	}
	o.faults.add(fmt.Sprintf("%s:%d", o.name, o.lines[near]), strings.TrimSuffix(o.path+"."+attribute, "."), format, args...)
}

// saidAbout tells whether the form of an attribute was refused already: what is
// missing then is missing for that reason.
func (o *serviceNode) alreadyBlamed(attribute string, said Faults) bool {
	path := strings.TrimSuffix(o.path+"."+attribute, ".")
	return slices.ContainsFunc(said, func(f Fault) bool {
		return f.Path == path || strings.HasPrefix(f.Path, path+".") || strings.HasPrefix(path, f.Path+".")
	})
}

// value reads a node of a shape as what JSON has for it; nil: refused or absent.
func (o *serviceNode) value(n *yaml.Node, s shape, at string) any {
	refuse := func() any {
		o.faults.add(o.document.at(n), strings.TrimSuffix(o.path+"."+at, "."), "must be %s, not %s", kindWords[s.kind], kindOf(n))
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
		return o.object(n, s, at)
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
			list = append(list, o.value(item, inner, at))
		}
		return list
	case anything:
		var v any
		if err := n.Decode(&v); err != nil {
			return refuse()
		}
		return v
	}
	if v, ok := o.scalar(n, s.kind); ok {
		return v
	}
	return refuse()
}

func (o *serviceNode) scalar(n *yaml.Node, k kind) (v any, ok bool) {
	if n.Kind != yaml.ScalarNode {
		return nil, false
	}
	switch k {
	case text, duration:
		return n.Value, n.Tag == "!!str" || o.lenient && (n.Tag == "!!int" || n.Tag == "!!float")
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

func (o *serviceNode) object(n *yaml.Node, s shape, at string) map[string]any {
	out := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		path := strings.TrimPrefix(at+"."+key.Value, ".")
		full := o.path + "." + path
		m := slices.IndexFunc(s.keys, func(m member) bool { return m.name == key.Value })
		if key.Kind != yaml.ScalarNode || m < 0 {
			var names []string
			for _, m := range s.keys {
				names = append(names, m.name)
			}
			o.faults.add(o.document.at(key), o.path+strings.TrimSuffix("."+at, ".")+"."+plain(key.Value),
				"is not a key of a service; there are %s", strings.Join(names, ", "))
			continue
		}
		if _, twice := out[key.Value]; twice {
			o.faults.add(o.document.at(key), full, "must stand once; it stands in line %d already", o.lines[path])
			continue
		}
		if _, met := o.lines[path]; !met {
			o.lines[path] = key.Line
		}
		if v := o.value(val, s.keys[m].shape, path); v != nil {
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

// probe reads the probe of a service, nil if it has none.
func (o *serviceNode) probe(v any) *AgentProbe {
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
				o.fault("probe."+d.name, "must be a Go duration such as 500ms, 5s or 1m, not %s", shown(s))
				continue
			}
			*d.to = parsed
		}
	}
	if n, ok := m["failures"].(json.Number); ok {
		i, err := n.Int64()
		if err != nil || i < 1 || i > 1000 {
			o.fault("probe.failures", "must be from 1 to 1000, not %s", n)
		} else {
			p.Failures = int(i)
		}
	}
	o.checkProbe(p)
	return p
}
