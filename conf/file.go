package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v3"
)

// maxFile is more than any configuration needs: 10,000 services of an agent are 3 MiB.
const maxFile = 16 << 20

// document reads one YAML file and checks it against the keys that exist. It works on nodes,
// because only they know their line, and because decoding into a struct lets
// duplicate keys in other spellings and second documents pass.
type document struct {
	schema schema
	name   string
	data   []byte
	byPath map[string]setting
	parts  map[string]bool // keys that hold other keys
	seen   map[string]int  // line of each key met
	values []value
	faults Faults
}

// schema is what the configuration of one program may contain.
type schema struct {
	program  string
	settings []setting
	lists    []listSchema // what only a file can contain
	// second decides whether a second document, which starts at where, is ignored. nil: it is a fault.
	second func(where string) (ignored bool)
}

// listSchema is a key that holds a list of things with keys of their own.
type listSchema struct {
	path string
	read func(d *document, n *yaml.Node)
}

// parseFile returns what the file sets and all that is wrong with its form.
func parseFile(f schema, name string, data []byte) ([]value, Faults) {
	d := &document{schema: f, name: name, data: data, byPath: map[string]setting{}, parts: map[string]bool{}, seen: map[string]int{}}
	for _, s := range f.settings {
		d.byPath[s.path] = s
		for i, r := range s.path {
			if r == '.' {
				d.parts[s.path[:i]] = true
			}
		}
	}
	if len(data) > maxFile {
		d.faults.add(name, "", "must not be larger than %d bytes, has %d", maxFile, len(data))
		return nil, d.faults
	}
	d.read()
	return d.values, d.faults
}

func (d *document) read() {
	if line, found := unprintable(d.data); found {
		d.faults.add(fmt.Sprintf("%s:%d", d.name, line), "", "must be UTF-8 text without control characters")
		return
	}
	dec := yaml.NewDecoder(bytes.NewReader(d.data))
	var root, second yaml.Node
	if err := dec.Decode(&root); err != nil {
		if !errors.Is(err, io.EOF) { // EOF: nothing but comments
			d.syntax(err)
		}
		return
	}
	if len(root.Content) == 1 {
		d.mapping(root.Content[0], "")
	}
	switch err := dec.Decode(&second); {
	case err == nil && d.schema.second != nil && d.schema.second(d.at(&second)):
	case err == nil:
		d.faults.add(d.at(&second), "", "must be one YAML document; a second one starts here")
	case !errors.Is(err, io.EOF):
		d.syntax(err)
	}
}

func (d *document) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", d.name, n.Line) }

// The parser counts lines from 0 in the errors of one of its stages, which only
// their texts tell apart, and gives no line for the first one.
var (
	yamlLine  = regexp.MustCompile(`line (\d+): `)
	fromZero  = regexp.MustCompile(`did not find expected (<|'-' indicator|key|',' or|node content)|undefined tag handle|found duplicate %|found incompatible`)
	yamlAlias = regexp.MustCompile(`unknown anchor '(.*)' referenced`)
)

// syntax turns the parser's error into a fault with its line in the usual place.
func (d *document) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = strings.Replace(text, m[0], "", 1)
		if fromZero.MatchString(text) {
			line++
		}
	} else if m := yamlAlias.FindStringSubmatch(text); m != nil {
		before, _, _ := bytes.Cut(d.data, []byte("*"+m[1]))
		line += bytes.Count(before, []byte("\n"))
		text = "aliases are not supported"
	}
	d.faults.add(fmt.Sprintf("%s:%d", d.name, line), "", "must be valid YAML: %s", strings.Join(strings.Fields(text), " "))
}

// unprintable gives the line of the first character that no YAML may hold.
func unprintable(data []byte) (line int, found bool) {
	line = 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == '\n':
			line++
		case r == utf8.RuneError && n == 1, unicode.IsControl(r) && r != '\t' && r != '\r' && r != '\u0085':
			return line, true
		}
		data = data[n:]
	}
	return 0, false
}

// mapping walks the document (prefix "") or one of its parts.
func (d *document) mapping(n *yaml.Node, prefix string) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // every key of it is commented out
	}
	if n.Kind != yaml.MappingNode {
		d.faults.add(d.at(n), prefix, "must hold keys, not %s", kindOf(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		d.key(n.Content[i], n.Content[i+1], prefix)
	}
}

func (d *document) key(key, val *yaml.Node, prefix string) {
	if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
		d.faults.add(d.at(key), prefix, "must have plain words as keys, not %s", kindOf(key))
		return
	}
	path := key.Value
	if prefix != "" {
		path = prefix + "." + path
	}
	s, known := d.byPath[path]
	part := d.parts[path]
	list := slices.IndexFunc(d.schema.lists, func(o listSchema) bool { return o.path == path })
	if strings.Contains(key.Value, ".") || (!known && !part && list < 0) {
		d.faults.add(d.at(key), plain(path), "is not a key of %s%s", d.schema.program, d.suggestion(path))
		return
	}
	if line, twice := d.seen[path]; twice {
		d.faults.add(d.at(key), path, "must stand once; it stands in line %d already", line)
		return
	}
	d.seen[path] = key.Line
	switch {
	case part:
		d.mapping(val, path)
	case list >= 0:
		d.schema.lists[list].read(d, val)
	default:
		d.value(s, key, val)
	}
}

// value takes the words of one setting, if they have the form that it needs.
func (d *document) value(s setting, key, val *yaml.Node) {
	v := value{path: s.path, where: d.at(val), rank: rankFile}
	switch {
	case s.isSecret():
		d.faults.add(d.at(key), s.path, "must not stand in this file, which is not kept secret; give it as %s, or the file that holds it as %sFile", s.env(), s.path)
		return
	case s.isMap():
		if !d.mapWords(s, val, &v) {
			return
		}
	case !s.isList():
		if !scalarFor(s, val) {
			d.faults.add(d.at(key), s.path, "must be %s, not %s", wanted(s), kindOf(val))
			return
		}
		v.words = []string{val.Value}
	case val.Kind != yaml.SequenceNode:
		d.faults.add(d.at(key), s.path, "must be a list such as [] or [a, b], not %s", kindOf(val))
		return
	default:
		for _, item := range val.Content {
			if item.Kind != yaml.ScalarNode || item.Tag != "!!str" {
				d.faults.add(d.at(item), s.path, "must be a list of text, not of %s; quote it if it is text", kindOf(item))
				return
			}
			v.words = append(v.words, item.Value)
		}
	}
	d.values = append(d.values, v)
}

// mapWords takes the entries of a map from names to lists of words, as NAME=WORD WORD.
func (d *document) mapWords(s setting, val *yaml.Node, v *value) (ok bool) {
	if val.Kind != yaml.MappingNode {
		d.faults.add(d.at(val), s.path, "must be a map such as {} or {NAME: [ROLE, ROLE]}, not %s", kindOf(val))
		return false
	}
	for i := 0; i+1 < len(val.Content); i += 2 {
		name, list := val.Content[i], val.Content[i+1]
		entry := name.Value + "="
		if name.Kind != yaml.ScalarNode || list.Kind != yaml.SequenceNode {
			d.faults.add(d.at(name), s.path, "must be a map such as {} or {NAME: [ROLE, ROLE]}")
			return false
		}
		for _, item := range list.Content {
			if item.Kind != yaml.ScalarNode || item.Tag != "!!str" || strings.ContainsAny(item.Value, " \t\n=") {
				d.faults.add(d.at(item), s.path, "must have a list of roles for each name, not of %s", kindOf(item))
				return false
			}
			entry += item.Value + " "
		}
		v.words = append(v.words, strings.TrimSuffix(entry, " "))
	}
	return true
}

// suggestion names the key that was probably meant.
func (d *document) suggestion(path string) string {
	for _, s := range d.schema.settings {
		if s.path == path { // a dot in one key
			return "; keys are nested: " + strings.Replace(path, ".", ": {", 1) + ": ...}"
		}
		if strings.EqualFold(s.path, path) {
			return "; did you mean " + s.path + "?"
		}
	}
	var sub []string
	prefix, _, inner := strings.Cut(path, ".")
	for _, s := range d.schema.settings {
		part, rest, nested := strings.Cut(s.path, ".")
		switch {
		case inner && nested && part == prefix:
			sub = append(sub, rest)
		case !inner && (len(sub) == 0 || sub[len(sub)-1] != part):
			sub = append(sub, part)
		}
	}
	if !inner {
		for _, l := range d.schema.lists {
			sub = append(sub, l.path)
		}
	}
	return "; there are " + strings.Join(sub, ", ")
}

// plain is a key as it may be printed.
func plain(path string) string {
	for _, r := range path {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r) {
			return shown(path)
		}
	}
	if path == "" || len(path) > 80 {
		return shown(path)
	}
	return path
}
