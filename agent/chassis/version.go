package chassis

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chassis/go-chassis/v2/core/registry"
	"github.com/go-chassis/go-chassis/v2/pkg/util/tags"
)

const latest = "latest"

// choose returns the instances that a call may use: of the application if it names one, with
// every tag that it names, and of the versions that its rule admits. The rules are
// service-center's: latest (or none) is the highest version that is there, 1.2+ is 1.2 and
// later, 1.2-2.0 is 1.2 and later but before 2.0, and anything else is that version.
func choose(all []*registry.MicroServiceInstance, tags utiltags.Tags) []*registry.MicroServiceInstance {
	rule := tags.KV[versionTag]
	var out []*registry.MicroServiceInstance
	for _, i := range all {
		if admits(rule, i.Version) && hasTags(i, tags.KV) {
			out = append(out, i)
		}
	}
	if rule != "" && rule != latest || len(out) == 0 {
		return out
	}
	highest := slices.MaxFunc(out, func(a, b *registry.MicroServiceInstance) int { return compareVersions(a.Version, b.Version) }).Version
	return slices.DeleteFunc(out, func(i *registry.MicroServiceInstance) bool { return compareVersions(i.Version, highest) != 0 })
}

func hasTags(i *registry.MicroServiceInstance, tags map[string]string) bool {
	for name, value := range tags {
		if name != versionTag && value != "" && i.Metadata[name] != value {
			return false
		}
	}
	return true
}

// admits reports whether a rule admits a version. The highest is not known here.
func admits(rule, version string) bool {
	if rule == "" || rule == latest || rule == version {
		return true
	}
	if least, ok := strings.CutSuffix(rule, "+"); ok {
		return isZero(least) || compareVersions(version, least) >= 0
	}
	if least, below, ok := strings.Cut(rule, "-"); ok && parts(least) != nil && parts(below) != nil {
		return compareVersions(version, least) >= 0 && compareVersions(version, below) < 0
	}
	return false
}

// isZero reports whether a version is 0, 0.0 and so on: every version is that or later,
// also one that is no numbers.
func isZero(version string) bool {
	p := parts(version)
	return p != nil && !slices.ContainsFunc(p, func(n uint64) bool { return n > 0 })
}

// compareVersions orders versions: MEC 011 has any text there. Those of numbers are ordered
// by these and come after all others.
func compareVersions(a, b string) int {
	x, y := parts(a), parts(b)
	switch {
	case x == nil && y == nil:
		return strings.Compare(a, b)
	case x == nil || y == nil:
		return cmp.Compare(len(x), len(y))
	}
	for len(x) < len(y) {
		x = append(x, 0)
	}
	for len(y) < len(x) {
		y = append(y, 0)
	}
	return slices.Compare(x, y)
}

// parts are the numbers of a version such as 1.2 or v1.2.0; nil if it is anything else.
func parts(version string) (out []uint64) {
	for p := range strings.SplitSeq(strings.TrimPrefix(version, "v"), ".") {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return nil
		}
		out = append(out, n)
	}
	return out
}
