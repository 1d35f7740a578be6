package conf

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// MaxWindow is the longest window there can be: ServiceComb keeps the interval,
// the number of misses and their product in 32 bits.
const MaxWindow = math.MaxInt32 * time.Second

// The least that each kind of time may be.
const (
	leastInterval = time.Second            // the wire counts whole seconds
	loneInterval  = 10 * time.Second       // an interval that may go without an allowed miss
	leastHold     = 100 * time.Millisecond // one self-tick; less could not be measured
	leastRemoval  = time.Second
	leastTimeout  = 100 * time.Millisecond
)

// Validate checks every rule on a Config that was put together by hand. Its
// error is a Faults.
func (c Config) Validate() error {
	var all Faults
	check(&c, func(string) string { return "" }, func(f Fault, _ ...string) { all = append(all, f) })
	return all.err()
}

// checker runs the rules. report is called with a fault and the other keys that the rule read.
type checker struct {
	*Config
	where  func(path string) string
	report func(f Fault, also ...string)
}

func check(c *Config, where func(string) string, report func(Fault, ...string)) {
	k := checker{c, where, report}
	k.server()
	k.tls()
	k.identity()
	k.store()
	k.applications()
	k.intervals()
	k.window()
	k.beats()
	k.removal()
	k.notify()
	k.rules()
	k.timing()
	k.limits()
	k.board()
	k.oneOf("compat", string(c.Compat), string(CompatNone), string(CompatEdgeGallery))
	k.edgeGallery()
}

func (k checker) fault(path, format string, args ...any) {
	k.report(Fault{Where: k.where(path), Path: path, Rule: fmt.Sprintf(format, args...)})
}

// between reports a constraint between two keys, at the place of the one that was
// given; both values are in the rule.
func (k checker) between(path string, d time.Duration, relation, other string, limit time.Duration) {
	f := Fault{Where: k.where(path), Path: path}
	f.Rule = fmt.Sprintf("%s must be %s %s, which is %s%s", d, relation, other, limit, k.writtenAt(other))
	if f.Where == "" {
		f.Where = k.where(other)
	}
	k.report(f, other)
}

// writtenAt says, in brackets, where a key was given; "" for a default.
func (k checker) writtenAt(path string) string {
	if w := k.where(path); w != "" {
		return " (" + w + ")"
	}
	return ""
}

func (k checker) oneOf(path, got string, of ...string) {
	for _, v := range of {
		if got == v {
			return
		}
	}
	k.fault(path, "must be %s, not %s", strings.Join(of, " or "), shown(got))
}

func (k checker) server() {
	k.origins()
	if strings.ContainsRune(k.Server.AdminSocket, 0) {
		k.fault("server.adminSocket", "must be the path of a socket, not %s", shown(k.Server.AdminSocket))
	}
	if a := k.Server.Advertise; a != "" && !advertisable(a) {
		k.fault("server.advertise", "must be HOST:PORT with a host that clients can reach and a port from 1 to 65535, not %s", shown(a))
	}
	if rule := listenRule(k.Server.Listen); rule != "" {
		k.fault("server.listen", "%s", rule)
		return
	}
	if !k.Server.Loopback() && !k.Server.Insecure && !k.EdgeGallery.Site && (!k.Server.TLS.On() || !k.Identified()) {
		k.report(Fault{k.where("server.listen"), "server.listen", fmt.Sprintf(
			"%s is reachable from other machines, which needs TLS (server.tls) and a source of identities (identity); mepserver init makes both. "+
				"Otherwise listen on loopback, or accept the risk with --insecure (server.insecure: true)", shown(k.Server.Listen))},
			"server.insecure", "server.tls.certFile")
	}
}

func (k checker) applications() {
	k.oneOf("applications.admission", string(k.Applications.Admission), string(Open), string(Registered))
	for _, id := range k.Applications.Known {
		if !mp1.ValidID(id) {
			k.fault("applications.known", "must be ids of "+mp1.IDForm+", not %s", shown(id))
		}
	}
	k.atLeastOne("applications.maxServices", k.Applications.MaxServices)
	k.atLeastOne("applications.maxSubscriptions", k.Applications.MaxSubscriptions)
}

func (k checker) atLeastOne(path string, n int) {
	if n < 1 || n > math.MaxInt32 {
		k.fault(path, "must be from 1 to %d, not %d", math.MaxInt32, n)
	}
}
