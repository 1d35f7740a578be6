package etcd

import "fmt"

// release is a release line of etcd with the oldest patches of it that we use, and
// that we would like to see.
type release struct{ major, minor, needed, wanted int }

// Below needed, a renewal of a lease that was just revoked is answered as if the
// lease lived; below wanted, a user limited to a prefix can watch beyond it.
var (
	releases = []release{{3, 5, 23, 33}, {3, 6, 5, 14}}
	newest   = releases[len(releases)-1]
)

const (
	whyNeeded = "older ones confirm renewals of leases that they revoked"
	whyWanted = "older ones let a user limited to our keys watch others"
)

// judgeVersion says why a server of this version must not be used, or what speaks
// against it; both empty: nothing.
func judgeVersion(version string) (refusal, warning string) {
	var major, minor, patch int
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); err != nil {
		return "says that its version is " + fmt.Sprintf("%.40q", version) + ", which is none of etcd's", ""
	}
	for _, l := range releases {
		switch {
		case l.major != major || l.minor != minor:
		case patch < l.needed:
			return fmt.Sprintf("is etcd %s; %d.%d.%d or later is needed: %s", version, l.major, l.minor, l.needed, whyNeeded), ""
		case patch < l.wanted:
			return "", fmt.Sprintf("is etcd %s; %d.%d.%d or later is recommended: %s", version, l.major, l.minor, l.wanted, whyWanted)
		default:
			return "", ""
		}
	}
	if major > newest.major || major == newest.major && minor > newest.minor {
		return "", ""
	}
	first := releases[0]
	return fmt.Sprintf("is etcd %s; %d.%d.%d or %d.%d.%d or later is needed: %s",
		version, first.major, first.minor, first.needed, newest.major, newest.minor, newest.needed, whyNeeded), ""
}
