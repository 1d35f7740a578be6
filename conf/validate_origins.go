package conf

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// origins checks server.origins.
func (k checker) origins() {
	for _, o := range k.Server.Origins {
		if !isOrigin(o) {
			k.fault("server.origins", "must be origins as browsers send them, which is https://HOST or http://HOST, in lower case, with :PORT if it is not the usual one, and nothing more, not %s", shown(o))
		}
	}
}

// isOrigin says whether s is an origin in the form in which browsers send it (RFC 6454
// §6.2), for it is compared as it is. "*" and "null" are none: the one is everybody, the
// other any page that hides where it is from.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || s != u.Scheme+"://"+u.Host || s != strings.ToLower(s) {
		return false
	}
	host, port := u.Hostname(), u.Port()
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) || strings.HasSuffix(u.Host, ":") || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == "" && (ip.Is4() || u.Host[0] == '[')
	}
	return len(host) <= 253 && hostForm.MatchString(host)
}
