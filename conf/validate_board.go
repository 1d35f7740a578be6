package conf

import (
	"net/url"
	"regexp"
	"strings"
)

// Board is what people look at.
type Board struct {
	// DashboardURL is a URL of the operator's dashboards about one service, which its names
	// replace what stands in braces of. Empty: there are none.
	DashboardURL string
}

// placeholder is what the board replaces in a DashboardURL.
var placeholder = regexp.MustCompile(`\{(?:serName|serInstanceId|appInstanceId|appName)\}`)

const longestLink = 2000 // bytes; what every browser takes

// board checks board.dashboardURL.
func (k checker) board() {
	if s := k.Board.DashboardURL; s != "" && !isLinkTemplate(s) {
		k.fault("board.dashboardURL", "must be a URL with https:// or http:// and a host, and without user and password, of at most %d characters; behind the host, and only there, {serName}, {serInstanceId}, {appInstanceId} and {appName} may stand, and no other braces, not %s", longestLink, shown(s))
	}
}

// isLinkTemplate says whether a browser that has anything put in place of the placeholders goes to
// the host that is written there, and by HTTP.
func isLinkTemplate(s string) bool {
	if len(s) > longestLink || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"'<>\\^|`+"`", r) }) {
		return false
	}
	filled := placeholder.ReplaceAllString(s, "x")
	if strings.ContainsAny(filled, "{}") {
		return false
	}
	u, err := url.Parse(filled)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Hostname() == "" {
		return false
	}
	return strings.HasPrefix(s, u.Scheme+"://"+u.Host) && !strings.Contains(s[:len(u.Scheme+"://"+u.Host)], "{") && beginsPath(s[len(u.Scheme+"://"+u.Host):])
}

// beginsPath says whether a host ends where rest begins.
func beginsPath(rest string) bool {
	return rest == "" || strings.ContainsRune("/?#", rune(rest[0]))
}
