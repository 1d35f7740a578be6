package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/mec-liveness/mepserver/mp1"
)

// LivenessHref returns where the heartbeats of a registered service go, for Beat and
// Liveness; "" if the platform requires none. EdgeGallery's server has the link only inside
// self, which is looked at too.
func LivenessHref(info mp1.ServiceInfo) string {
	switch {
	case info.Links == nil:
		return ""
	case info.Links.Liveness != nil && info.Links.Liveness.Href != "":
		return info.Links.Liveness.Href
	default:
		return info.Links.Self.Liveness
	}
}

// HrefPath splits an href that the platform gave into path and query, which are the same at
// every endpoint of one platform, and the host that it names, which may be "".
func HrefPath(href string) (path, host string, err error) {
	u, err := parseHref(href)
	if err != nil {
		return "", "", err
	}
	return u.RequestURI(), u.Host, nil
}

// BeatAnswer is the platform's answer to a heartbeat.
type BeatAnswer struct {
	// NewInterval is the interval of heartbeats from now on, in seconds; 0 if it has not
	// changed (§5.2.12).
	NewInterval int
}

var beat = mp1.ServiceLivenessUpdate{State: mp1.Active}

// Beat sends one heartbeat to the href that the platform gave (§8.2.10.3.3). The platform
// accepts it with 204, or with 200 and a new interval. An interval that cannot be read is
// ignored, because the heartbeat was accepted all the same.
func (c *Client) Beat(ctx context.Context, href string) (BeatAnswer, error) {
	path, err := c.resolve(href)
	if err != nil {
		return BeatAnswer{}, err
	}
	var info mp1.ServiceLivenessInfo
	q := request{method: http.MethodPatch, target: path, body: beat, status: http.StatusOK, mayBeEmpty: true, repeatable: true}
	if c.putOnly.Load() {
		q.method = http.MethodPut
	}
	err = c.call(ctx, q, &info)
	if refusesPatch(err) && q.method == http.MethodPatch {
		// EdgeGallery's server has no PATCH and accepts the same heartbeat by PUT.
		q.method = http.MethodPut
		if err = c.call(ctx, q, &info); !refusesPatch(err) {
			c.putOnly.Store(true)
		}
	}
	if errors.Is(err, errUnreadable) || info.Interval < 0 {
		return BeatAnswer{}, nil
	}
	return BeatAnswer{NewInterval: info.Interval}, err
}

func refusesPatch(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == http.StatusMethodNotAllowed
}

// Liveness returns the liveness resource at the href that the platform gave (§8.2.10.3.1).
func (c *Client) Liveness(ctx context.Context, href string) (mp1.ServiceLivenessInfo, error) {
	var out mp1.ServiceLivenessInfo
	path, err := c.resolve(href)
	if err != nil {
		return out, err
	}
	err = c.call(ctx, request{method: http.MethodGet, target: path, status: http.StatusOK}, &out)
	return out, err
}

// resolve turns an href into an absolute URL. It refuses another host than the platform's,
// to which the HTTP client would send the application's token. MEC 011 leaves the form of an
// href open (§8.1.2.2): platforms send paths and absolute URLs.
func (c *Client) resolve(href string) (*url.URL, error) {
	u, err := parseHref(href)
	if err != nil {
		return nil, err
	}
	if u.Host != "" && (u.Scheme != c.origin.Scheme || !sameHost(u, c.origin)) {
		return nil, errForeign
	}
	u.Scheme, u.Host, u.Fragment, u.RawFragment = c.origin.Scheme, c.origin.Host, "", ""
	return u, nil
}

func parseHref(href string) (*url.URL, error) {
	u, err := url.Parse(href)
	if err != nil || u.User != nil || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") || (u.Host == "") != (u.Scheme == "") {
		return nil, errHref
	}
	return u, nil
}

var (
	errHref    = errors.New("mp1 client: the href is neither a path nor an absolute URL")
	errForeign = errors.New("mp1 client: the href leads to another host than the platform's")
)

// sameHost compares hosts without regard to case; no port is the port of the scheme.
func sameHost(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		switch p := u.Port(); {
		case p != "":
			return p
		case u.Scheme == "https":
			return "443"
		default:
			return "80"
		}
	}
	return strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}
