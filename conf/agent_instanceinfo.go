package conf

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	yaml "go.yaml.in/yaml/v3"

	"github.com/mec-liveness/mepserver/mp1"
)

// This file reads serviceInfoPosts as EdgeGallery's agent does, whose decoder is yaml.v2
// with Go structs: what is absent is zero, any scalar is a text, YAML 1.1 has more words
// for true and false, and there are anchors and merges (ADR 0034).

// instanceInfo is where EdgeGallery's agent looks for its services: below its working
// directory, and in its image.
var instanceInfo = []string{"conf/app_instance_info.yaml", "/usr/mep/conf/app_instance_info.yaml"}

// mostFollowed is how many values may stand behind the aliases of a file: nested ones stand
// for more than any machine can hold.
const mostFollowed = 100_000

// instanceInfoLists are the keys of EdgeGallery's app_instance_info.yaml.
func (r *serviceReader) instanceInfoLists() []listSchema {
	return []listSchema{
		{"serviceInfoPosts", func(d *document, n *yaml.Node) {
			r.instanceInfo = true
			r.read(d, n, "serviceInfoPosts", true)
		}},
		{"serAvailabilityNotificationSubscriptions", func(d *document, n *yaml.Node) { // EdgeGallery's agent does not use it either
			r.instanceInfo = true
			if len(n.Content) > 0 {
				r.warnings.add(d.at(n), "serAvailabilityNotificationSubscriptions", "is not used, as by EdgeGallery's agent: an application subscribes itself")
			}
		}},
		{"appInstanceId", func(d *document, n *yaml.Node) { // of its first releases
			if n.Kind != yaml.ScalarNode {
				d.faults.add(d.at(n), "appInstanceId", "must be text, not %s", kindOf(n))
				return
			}
			d.values = append(d.values, value{path: "application.id", where: d.at(n), rank: rankFile, words: []string{n.Value}})
		}},
	}
}

// secondDocument reports whether a second document of the file is ignored, as EdgeGallery's
// agent does.
func (r *serviceReader) secondDocument(where string) bool {
	if r.instanceInfo {
		r.warnings.add(where, "", "is not used, as by EdgeGallery's agent: a second YAML document starts here")
	}
	return r.instanceInfo
}

// follow is the node that an alias stands for; nil after a fault. Only EdgeGallery's file
// may have aliases: elsewhere they are refused for what they are.
func (sn *serviceNode) follow(n *yaml.Node, at string) *yaml.Node {
	if !sn.edgeGallery || n.Kind != yaml.AliasNode {
		return n
	}
	if sn.tooMany(n, at) {
		return nil
	}
	return n.Alias
}

// tooMany counts what is read behind aliases, and adds a fault when it is too much.
func (sn *serviceNode) tooMany(n *yaml.Node, at string) bool {
	r := sn.reader
	if r.followed <= mostFollowed {
		r.followed += countNodes(n, mostFollowed-r.followed+1)
		if r.followed > mostFollowed {
			sn.fault(at, "must not have aliases that stand for more than %d values", mostFollowed)
		}
	}
	return r.followed > mostFollowed
}

// countNodes counts the nodes below n, up to most.
func countNodes(n *yaml.Node, most int) int {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	count := 1
	for _, inner := range n.Content {
		if count >= most {
			break
		}
		if inner.Kind == yaml.AliasNode { // counted when it is followed
			count++
			continue
		}
		count += countNodes(inner, most-count)
	}
	return count
}

// merge reads the maps that << names into out. Of several the first counts.
func (sn *serviceNode) merge(n *yaml.Node, s shape, at string, out map[string]any) {
	maps := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		maps = slices.Clone(n.Content)
		slices.Reverse(maps)
	}
	for _, m := range maps {
		line := sn.document.at(m)
		if m = sn.follow(m, at); m == nil {
			return
		}
		switch {
		case m.Kind != yaml.MappingNode:
			sn.faults.add(line, sn.path, "must merge sets of keys, not %s", kindOf(m))
		case sn.merging[m]:
			sn.faults.add(line, sn.path, "must not merge a set of keys into itself")
		default:
			sn.merging[m] = true
			sn.object(m, s, at, out)
			delete(sn.merging, m)
		}
	}
}

// booleans11 are the words of YAML 1.1 for true and false.
var booleans11 = map[string]bool{
	"y": true, "Y": true, "yes": true, "Yes": true, "YES": true, "true": true, "True": true, "TRUE": true, "on": true, "On": true, "ON": true,
	"n": false, "N": false, "no": false, "No": false, "NO": false, "false": false, "False": false, "FALSE": false, "off": false, "Off": false, "OFF": false,
}

// edgeGalleryScalar reads a single value as EdgeGallery's agent does; ok is false if it is
// not of the kind.
func edgeGalleryScalar(n *yaml.Node, k kind) (v any, ok bool) {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	switch k {
	case text:
		if n.Tag == "!!binary" {
			b, err := base64.StdEncoding.DecodeString(n.Value)
			return string(b), err == nil
		}
		return n.Value, true
	case boolean:
		v, ok = booleans11[n.Value]
		return v, ok && n.Style&quoted == 0
	}
	var number any
	if n.Decode(&number) != nil {
		return nil, false
	}
	switch i := number.(type) {
	case int:
		return json.Number(strconv.Itoa(i)), true
	case int64:
		return json.Number(strconv.FormatInt(i, 10)), true
	case float64: // its fraction is dropped
		return json.Number(strconv.FormatInt(int64(i), 10)), math.Abs(i) <= math.MaxInt32
	}
	return nil, false
}

// fillAsEdgeGallery sets what EdgeGallery's agent sends for what a description leaves out. A
// state or serializer it would leave empty, and its platform would refuse that.
func fillAsEdgeGallery(m map[string]any) {
	for name, usual := range map[string]any{"state": "ACTIVE", "serializer": "JSON", "consumedLocalOnly": false} {
		if v := m[name]; v == nil || v == "" {
			m[name] = usual
		}
	}
}

// completeAsEdgeGallery completes a description to one that keeps the rules of MEC 011, and
// leaves out what says nothing. One that breaks them still is returned for its faults.
func completeAsEdgeGallery(info []byte) []byte {
	info = mp1.CompleteRegistration(info)
	decoded, err := mp1.DecodeServiceInfo(info)
	if err != nil {
		return info
	}
	if short, err := json.Marshal(decoded); err == nil {
		return short
	}
	return info
}
