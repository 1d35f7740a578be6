package conf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Loopback says whether only this machine can reach the server.
func (s Server) Loopback() bool { return loopback(s.Listen) }

func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// CheckListen says what is wrong with an address that a server is to listen on.
func CheckListen(listen string) error {
	if rule := listenRule(listen); rule != "" {
		return errors.New(rule)
	}
	return nil
}

// listenRule is the rule that the address breaks, or "".
func listenRule(listen string) string {
	const form = "must be HOST:PORT with an IP address or localhost as HOST and a number up to 65535 as PORT"
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Sprintf(form+", not %s", shown(listen))
	}
	if host == "" {
		return fmt.Sprintf(form+"; for every address write 0.0.0.0:%s or [::]:%s", plain(port), plain(port))
	}
	_, addrErr := netip.ParseAddr(host)
	_, portErr := strconv.ParseUint(port, 10, 16)
	if (addrErr != nil && !strings.EqualFold(host, "localhost")) || portErr != nil {
		return fmt.Sprintf(form+", not %s", shown(listen))
	}
	return ""
}

var hostForm = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)

// advertisable says whether a URL with this host:port can lead clients anywhere.
func advertisable(a string) bool {
	host, port, err := net.SplitHostPort(a)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || n == 0 {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return !ip.IsUnspecified() && ip.Zone() == ""
	}
	return len(host) <= 253 && hostForm.MatchString(host)
}

// OnLoopback says whether a URL leads to this machine only.
func OnLoopback(link string) bool {
	u, err := url.Parse(link)
	return err == nil && loopback(net.JoinHostPort(u.Hostname(), "1"))
}
