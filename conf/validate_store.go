package conf

import (
	"net/netip"
	"net/url"
	"strings"
)

// The bounds of the embedded store's quota. Below the least, what a platform without
// services writes would already be near it. The most is what bbolt's file of pages is
// known to carry; etcd itself warns above 8 GiB.
const (
	leastQuota = 16 * MiB
	mostQuota  = 64 * GiB
)

func (k checker) store() {
	k.oneOf("store.kind", string(k.Store.Kind), string(Embedded), string(Etcd))
	switch k.Store.Kind {
	case Embedded:
		if k.Store.DataDir == "" || strings.ContainsRune(k.Store.DataDir, 0) {
			k.fault("store.dataDir", "must name a directory for store.kind embedded, not %s", shown(k.Store.DataDir))
		}
		if q := k.Store.QuotaBytes; q < leastQuota || q > mostQuota {
			k.fault("store.quotaBytes", "must be from %s to %s, not %s", leastQuota, mostQuota, q)
		}
		for _, s := range k.clusterOnly() {
			if s.given {
				k.report(Fault{k.where(s.path), s.path,
					"must be empty for store.kind embedded" + k.writtenAt("store.kind") + "; set store.kind to etcd"}, "store.kind")
			}
		}
	case Etcd:
		if len(k.Store.Endpoints) == 0 {
			k.report(Fault{k.firstGiven("store.endpoints", "store.kind"), "store.endpoints",
				"must name at least one URL for store.kind etcd" + k.writtenAt("store.kind")}, "store.kind")
			return
		}
		if k.endpoints() {
			k.access()
		}
	}
}

// endpoint is a URL of the list, as far as the rules need it.
type endpoint struct{ secure, loopback bool }

// clusterOnly lists what an embedded store has no use for.
func (k checker) clusterOnly() []struct {
	path  string
	given bool
} {
	s := k.Store
	return []struct {
		path  string
		given bool
	}{
		{"store.endpoints", len(s.Endpoints) > 0},
		{"store.caFile", s.CAFile != ""},
		{"store.certFile", s.CertFile != ""},
		{"store.keyFile", s.KeyFile != ""},
		{"store.username", s.Username != ""},
		{"store.passwordFile", s.PasswordFile != ""},
		{"store.password", s.Password != ""},
	}
}

// endpoints checks the form of the URLs.
func (k checker) endpoints() bool {
	for _, e := range k.Store.Endpoints {
		if _, ok := endpointForm(e); !ok {
			k.fault("store.endpoints", "must be URLs such as http://10.0.0.1:2379, without user, path or query; one of them is not")
			return false // not shown: a URL may hold a password
		}
	}
	return true
}

func endpointForm(text string) (e endpoint, ok bool) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return e, false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return endpoint{u.Scheme == "https", err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(u.Hostname(), "localhost")}, true
}

// access checks TLS and the user together with the endpoints that they are for.
func (k checker) access() {
	secure, inClear := 0, false
	for _, text := range k.Store.Endpoints {
		e, _ := endpointForm(text)
		if e.secure {
			secure++
		} else if !e.loopback {
			inClear = true
		}
	}
	if secure > 0 && secure < len(k.Store.Endpoints) {
		k.fault("store.endpoints", "must be all https or all http: etcd's client uses the scheme of the first for all of them")
		return
	}
	s := k.Store
	for _, f := range k.clusterOnly()[1:4] {
		if f.given && secure == 0 {
			k.report(Fault{k.where(f.path), f.path, "is of no use without https:// in store.endpoints" + k.writtenAt("store.endpoints")}, "store.endpoints")
		}
	}
	k.together("store.certFile", s.CertFile != "", "store.keyFile", s.KeyFile != "")
	switch password := s.PasswordFile != "" || s.Password != ""; {
	case s.PasswordFile != "" && s.Password != "":
		k.report(Fault{k.where("store.passwordFile"), "store.passwordFile",
			"must be empty when the password itself is given" + k.writtenAt("store.password")}, "store.password")
	case password && s.Username == "":
		k.report(Fault{k.firstGiven("store.passwordFile", "store.password"), "store.username", "must be given together with a password"},
			"store.passwordFile", "store.password")
	case !password && s.Username != "":
		k.report(Fault{k.where("store.username"), "store.username", "must be given together with store.passwordFile or MEP_STORE_PASSWORD"},
			"store.passwordFile", "store.password")
	case password && inClear:
		k.report(Fault{k.firstGiven("store.username", "store.passwordFile", "store.password"), "store.username",
			"needs https:// in store.endpoints" + k.writtenAt("store.endpoints") + ": over http the password could be read on the way"}, "store.endpoints")
	}
}

// together reports one of two keys that only make sense with each other.
func (k checker) together(a string, hasA bool, b string, hasB bool) {
	if hasA && !hasB {
		a, b = b, a
	}
	if hasA != hasB {
		k.report(Fault{k.where(b), a, "must be given together with " + b}, b)
	}
}
