package conf

import (
	"fmt"
	"strings"
)

// unused reports a credential or file that the rest of the configuration leaves without use:
// whoever gave it believes that it counts. What decides that was set by decides. It is a
// fault, unless a stronger source has overruled the giver: then it is a warning.
func (k agentChecker) unused(path, decides, rule string) {
	f := Fault{k.origin.where(path), path, rule}
	if overrides(k.origin[decides], k.origin[path]) {
		k.Warnings = append(k.Warnings, f)
		return
	}
	k.report(f, decides)
}

// identityUnused reports what belongs to another kind of identity.
func (k agentChecker) identityUnused() {
	i := k.Identity
	for _, s := range []struct {
		path  string
		of    IdentityKind
		given bool
	}{
		{"identity.tokenFile", TokenFile, i.TokenFile != ""},
		{"identity.tokenURL", OAuth2, i.TokenURL != ""},
		{"identity.clientId", OAuth2, i.ClientID != ""},
		{"identity.clientSecret", OAuth2, i.ClientSecret != ""},
		{"identity.clientSecretFile", OAuth2, i.ClientSecretFile != ""},
		{"identity.scopes", OAuth2, len(i.Scopes) > 0},
		{"identity.accessKey", AccessKey, i.AccessKey != ""},
		{"identity.accessKeyFile", AccessKey, i.AccessKeyFile != ""},
		{"identity.secretKey", AccessKey, i.SecretKey != ""},
		{"identity.secretKeyFile", AccessKey, i.SecretKeyFile != ""},
	} {
		if s.given && s.of != i.Kind {
			k.unused(s.path, "identity.kind", fmt.Sprintf("is of no use for identity.kind %s%s; it belongs to %s", i.Kind, k.written("identity.kind"), s.of))
		}
	}
}

// tlsUnused reports what is for https:// where there is none.
func (k agentChecker) tlsUnused() {
	p := k.Platform
	secure := false
	for _, e := range p.Endpoints {
		secure = secure || strings.HasPrefix(e, "https:")
	}
	tokens := k.Identity.Kind == OAuth2 && strings.HasPrefix(k.Identity.TokenURL, "https:")
	for _, s := range []struct {
		path string
		idle bool // it was given, and nothing uses it
	}{
		{"platform.caFile", p.CAFile != "" && !secure && !tokens},
		{"platform.certFile", p.CertFile != "" && !secure && !tokens},
		{"platform.keyFile", p.KeyFile != "" && !secure && !tokens},
		{"platform.serverName", p.ServerName != "" && !secure},
	} {
		if s.idle {
			k.unused(s.path, "platform.endpoints", "is of no use without https:// in platform.endpoints"+k.written("platform.endpoints"))
		}
	}
}

// written says where a setting was written, if it was.
func (k agentChecker) written(path string) string {
	if where := k.origin.where(path); where != "" {
		return " (" + where + ")"
	}
	return ""
}
