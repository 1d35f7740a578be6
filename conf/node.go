package conf

import (
	"time"

	yaml "go.yaml.in/yaml/v3"
)

// scalarFor says whether the YAML type of a value is the one the setting has.
func scalarFor(s setting, n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	switch s.ptr.(type) {
	case *bool:
		return n.Tag == "!!bool"
	case *int:
		return n.Tag == "!!int"
	case *time.Duration, *Size: // 0 needs no unit
		return n.Tag == "!!str" || (n.Tag == "!!int" && n.Value == "0")
	}
	return n.Tag == "!!str"
}

// wanted says in words what scalarFor demands.
func wanted(s setting) string {
	switch s.ptr.(type) {
	case *bool:
		return "true or false"
	case *int:
		return "a whole number"
	case *time.Duration:
		return "a Go duration with its unit such as 30s, 5m or 24h"
	case *Size:
		return sizeForm
	}
	return "text"
}

// kindOf says in words what stands in the file.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a set of keys"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias (*" + plain(n.Value) + "), which is not supported"
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!merge":
		return "a merge key (<<), which is not supported"
	case "!!bool":
		return "the boolean " + shown(n.Value)
	case "!!int", "!!float":
		return "the number " + shown(n.Value)
	case "!!str":
		return "the text " + shown(n.Value)
	}
	return shown(n.Value) + " of type " + shown(n.Tag)
}
