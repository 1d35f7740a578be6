package conf

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// value reads a node as what encoding/json would read for it, nil if it is absent or a fault.
// An object is read into what a merge has put there before.
func (sn *serviceNode) value(n *yaml.Node, s shape, at string, into any) any {
	if s.kind == ignored {
		return nil
	}
	if n = sn.follow(n, at); n == nil || isNull(n) {
		return nil // absent, as on the wire
	}
	switch s.kind {
	case object:
		if n.Kind != yaml.MappingNode {
			return sn.refuse(n, s.kind, at)
		}
		out, ok := into.(map[string]any)
		if !ok {
			out = map[string]any{}
		}
		sn.object(n, s, at, out)
		return out
	case objectList, textList:
		if n.Kind != yaml.SequenceNode {
			return sn.refuse(n, s.kind, at)
		}
		list := []any{}
		for _, item := range n.Content {
			inner := shape{kind: text}
			if s.kind == objectList {
				inner = shape{object, s.keys}
			}
			list = append(list, sn.value(item, inner, at, nil))
		}
		return list
	case anything:
		var v any
		if err := n.Decode(&v); err != nil {
			return sn.refuse(n, s.kind, at)
		}
		return v
	}
	if v, ok := sn.scalar(n, s.kind); ok {
		return v
	}
	return sn.refuse(n, s.kind, at)
}

// isNull reports whether a node says that there is nothing.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// refuse adds the fault of a value that is not of the kind, and is nil.
func (sn *serviceNode) refuse(n *yaml.Node, k kind, at string) any {
	sn.faults.add(sn.document.at(n), strings.TrimSuffix(sn.path+"."+at, "."), "must be %s, not %s", kindWords[k], kindOf(n))
	return nil
}

// scalar reads a single value; ok is false if it is not of the kind.
func (sn *serviceNode) scalar(n *yaml.Node, k kind) (v any, ok bool) {
	if n.Kind != yaml.ScalarNode {
		return nil, false
	}
	if sn.edgeGallery && k != duration {
		return edgeGalleryScalar(n, k)
	}
	switch k {
	case text, duration:
		return n.Value, n.Tag == "!!str"
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

// object reads the keys of an object into out. Unknown and repeated keys are faults.
func (sn *serviceNode) object(n *yaml.Node, s shape, at string, out map[string]any) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if sn.edgeGallery && key.Tag == "!!merge" {
			sn.merge(val, s, at, out)
			continue
		}
		path := strings.TrimPrefix(at+"."+key.Value, ".")
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
		if line, twice := seen[key.Value]; twice {
			sn.faults.add(sn.document.at(key), sn.path+"."+path, "must stand once; it stands in line %d already", line)
			continue
		}
		seen[key.Value] = key.Line
		if _, met := sn.lines[path]; !met {
			sn.lines[path] = key.Line
		}
		if v := sn.value(val, s.keys[m].shape, path, out[key.Value]); v != nil {
			out[key.Value] = v
		} else {
			delete(out, key.Value)
		}
	}
}
