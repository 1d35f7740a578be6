package conf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"strings"
)

// Sources are the places that a configuration is put together from. Later
// fields win over earlier ones, and all of them over the defaults.
type Sources struct {
	// File is the path of a YAML file. Empty: there is none.
	File string
	// Data, if not nil, is what File holds; File then only names it in faults.
	Data []byte
	// Environ has the form of os.Environ. Variables that are no setting's are
	// ignored (Kubernetes injects some that begin with MEP_), and so are empty
	// ones. Lists are separated by commas.
	Environ []string
	// Flags holds the flags that were given, by their name without dashes, such as
	// listen and etcd-endpoints.
	Flags map[string]string
	// Rules are those that conf cannot check itself, for they read the files that settings
	// name.
	Rules []Rule

	root string // of the files of EdgeGallery's chart: "" but in tests
}

// Rule checks a configuration and calls fault with what is wrong: the key that it is said
// for, and what must hold. What other rules refuse may be in the configuration still.
type Rule func(c Config, fault func(path, format string, args ...any))

// Load puts a configuration together. Its error is a Faults with everything
// that is wrong in any source, overridden values included.
func Load(src Sources) (Config, error) {
	values, all := gather(schema{program: "mepserver", settings: settings(new(Config))}, src)
	gallery := readSite(src.Environ, src.root)
	values = append(gallery.values, values...)
	// Compat decides the defaults, and any source may set it: read all once
	// for the faults and the mode, then again on the defaults of that mode.
	var probe Config
	_, bad := apply(settings(&probe), values)
	all = append(all, bad...)
	c := defaults(probe.Compat)
	origin, _ := apply(settings(&c), values)
	if overrides(origin["store.endpoints"], origin["store.kind"]) && len(c.Store.Endpoints) > 0 {
		c.Store.Kind = Etcd
	}
	c.Derived.FixedInterval = c.Liveness.within(c.Derived.FixedInterval)
	gallery.concern(&c, origin, &all)
	report := all.reporter()
	check(&c, origin.where, report)
	for _, rule := range src.Rules {
		rule(c, checker{&c, origin.where, report}.fault)
	}
	if err := all.err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// gather reads all sources, in rising order of precedence.
func gather(f schema, src Sources) (values []value, all Faults) {
	for _, read := range []func(schema, Sources) ([]value, Faults){fromFile, fromEnviron, fromFlags} {
		v, bad := read(f, src)
		values, all = append(values, v...), append(all, bad...)
	}
	return values, all
}

// reporter returns the function that takes the faults that the rules find. It drops a fault
// about a key whose value could not be read, for the rule has checked the default instead.
func (f *Faults) reporter() func(Fault, ...string) {
	broken := map[string]bool{}
	for _, one := range *f {
		broken[one.Path] = true
	}
	return func(one Fault, also ...string) {
		for _, path := range append(also, one.Path) {
			if broken[path] {
				return
			}
		}
		*f = append(*f, one)
	}
}

// value is one setting found in a source.
type value struct {
	path  string
	where string
	rank  int      // of the source
	words []string // one, or the items of a list
}

// found is where the winning value of a setting came from.
type found struct {
	where string
	rank  int // of the source; 0 is the default
}

// origins says where the winning value of each setting came from.
type origins map[string]found

func (o origins) where(path string) string { return o[path].where }

// overrides says whether a is from a source of higher precedence than b.
func overrides(a, b found) bool { return a.rank > b.rank }

// The sources in rising order of precedence.
const (
	rankSite = 1 + iota // what EdgeGallery's chart gives its mepserver
	rankFile
	rankEdgeGallery // the variables of EdgeGallery's agent
	rankEnviron
	rankFlags
)

// apply writes the values in order, so that the last one of a setting wins.
func apply(all []setting, values []value) (origins, Faults) {
	byPath := map[string]setting{}
	for _, s := range all {
		byPath[s.path] = s
	}
	origin := origins{}
	var bad Faults
	for _, v := range values {
		if err := byPath[v.path].assign(v); err != nil {
			bad.add(v.where, v.path, "%s", err)
			continue
		}
		origin[v.path] = found{where: v.where, rank: v.rank}
	}
	return origin, bad
}

func fromFile(f schema, src Sources) ([]value, Faults) {
	if src.File == "" && src.Data == nil {
		return nil, nil
	}
	name, data := src.File, src.Data
	if name == "" {
		name = "configuration"
	}
	if data == nil {
		var err error
		if data, err = readFile(src.File); err != nil {
			var pe *fs.PathError
			if errors.As(err, &pe) {
				err = pe.Err
			}
			return nil, Faults{{Where: name, Rule: fmt.Sprintf("cannot be read: %v", err)}}
		}
	}
	return parseFile(f, name, data)
}

// readFile reads no more than it takes to know that a file is too large.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if data == nil {
		data = []byte{}
	}
	return data, err
}

func fromEnviron(f schema, src Sources) ([]value, Faults) {
	env := map[string]string{}
	for _, kv := range src.Environ {
		if name, text, ok := strings.Cut(kv, "="); ok {
			env[name] = text
		}
	}
	var values []value
	for _, s := range f.settings {
		if text := env[s.env()]; text != "" {
			values = append(values, value{path: s.path, where: s.env(), rank: rankEnviron, words: splitFor(s, text)})
		}
	}
	return values, nil
}

func fromFlags(f schema, src Sources) ([]value, Faults) {
	var values []value
	var bad Faults
	byFlag := map[string]setting{}
	for _, s := range f.settings {
		if s.flag != "" {
			byFlag[s.flag] = s
		}
	}
	for name, text := range src.Flags {
		s, known := byFlag[name]
		if !known {
			bad.add("--"+plain(name), "", "is not a flag that sets anything")
			continue
		}
		values = append(values, value{path: s.path, where: "--" + name, rank: rankFlags, words: splitFor(s, text)})
	}
	sort.Slice(values, func(i, j int) bool { return values[i].where < values[j].where })
	sort.Slice(bad, func(i, j int) bool { return bad[i].Where < bad[j].Where })
	return values, bad
}
