package client

import (
	"strings"

	"github.com/mec-liveness/mepserver/mp1"
)

// RequestOption is a condition of one request, or asks for more of its answer.
type RequestOption func(*condition)

// condition is what the options of one request ask for.
type condition struct {
	asked bool // IfMatch was given
	etag  string
	to    *string // where the ETag of the answer goes
	place bool    // AtPlace was given
}

// IfMatch has a change carried out only if what is changed is still as it was when its ETag
// was this one, or with "*" if it is there at all. Otherwise the change ends with [ErrStale].
// Only [Client.Update], [Client.Remove], [Client.Unsubscribe], [Client.UpdateApplication],
// [Client.DeregisterApplication], [Client.DeregisterGracefully], [Client.UpdateDNSRule] and
// [Client.UpdateTrafficRule] are changes. An ETag that is none, such as "" because
// the platform has sent none, is an [*mp1.Invalid] and nothing is sent: without its condition
// the change would be carried out whatever has happened.
func IfMatch(etag string) RequestOption {
	return func(c *condition) { c.asked, c.etag = true, etag }
}

// ETag stores the ETag of the answer, for [IfMatch]; "" if the platform sends none or the
// request fails.
func ETag(to *string) RequestOption {
	return func(c *condition) { c.to = to }
}

// AtPlace has [Client.Remove] remove the service only if an agent at the place of
// [Options.Agent] keeps it alive, a dead predecessor too, and nobody elsewhere does. Otherwise
// it ends with [ErrConflict]. With a platform for which [Client.AgentKept] is not true, and in
// any other request, it is an [*mp1.Invalid] and nothing is sent: a platform that does not know
// it would remove what others keep alive.
func AtPlace() RequestOption {
	return func(c *condition) { c.place = true }
}

// conditionOf gathers options.
func conditionOf(options []RequestOption) (condition, error) {
	var c condition
	for _, o := range options {
		o(&c)
	}
	if c.to != nil {
		*c.to = ""
	}
	if c.asked && c.etag != "*" && !isETag(c.etag) {
		return c, &mp1.Invalid{Attribute: "If-Match", Rule: `must be an ETag that the platform has sent, or "*"`}
	}
	return c, nil
}

// isETag reports whether s is an entity tag (RFC 9110 §8.8.3) that is not too long to be one.
func isETag(s string) bool {
	const longest = 1 << 10
	opaque, ok := strings.CutPrefix(strings.TrimPrefix(s, "W/"), `"`)
	opaque, closed := strings.CutSuffix(opaque, `"`)
	outside := func(r rune) bool { return r < 0x21 || r == '"' || r > 0x7e }
	return ok && closed && len(s) <= longest && !strings.ContainsFunc(opaque, outside)
}
