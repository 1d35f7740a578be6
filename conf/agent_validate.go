package conf

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// violations are the rules that a description breaks.
func violations(err error) []*mp1.Invalid {
	var all mp1.Faults
	if errors.As(err, &all) {
		return all
	}
	var one *mp1.Invalid
	if errors.As(err, &one) {
		return []*mp1.Invalid{one}
	}
	return nil
}

const minProbeTime = 100 * time.Millisecond

// checkProbe checks a probe as a whole.
func (sn *serviceNode) checkProbe(p *AgentProbe) {
	given := 0
	for _, is := range []bool{p.TCP != "", p.HTTP != "", len(p.Exec) > 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		sn.fault("probe", "must have exactly one of tcp, http and exec")
	}
	if p.TCP != "" {
		host, port, err := net.SplitHostPort(p.TCP)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || n == 0 {
			sn.fault("probe.tcp", "must be HOST:PORT, not %s", shown(p.TCP))
		}
	}
	if p.HTTP != "" {
		if u, err := url.Parse(p.HTTP); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil {
			sn.fault("probe.http", "must be an http:// or https:// URL without a user") // not shown: it may hold a secret
		}
	}
	if len(p.Exec) > 0 && p.Exec[0] == "" {
		sn.fault("probe.exec", "must name a program first")
	}
	if p.Interval < minProbeTime {
		sn.fault("probe.interval", "must be at least %s, not %s", minProbeTime, p.Interval)
	}
	if p.Timeout < minProbeTime || p.Timeout > p.Interval {
		sn.fault("probe.timeout", "must be from %s to probe.interval, which is %s, not %s", minProbeTime, p.Interval, p.Timeout)
	}
}

// agentChecker holds an agent's settings to their rules.
type agentChecker struct {
	*Agent
	origin origins
	report func(Fault, ...string)
}

func checkAgent(c *Agent, origin origins, report func(Fault, ...string)) {
	k := agentChecker{c, origin, report}
	k.platform()
	if !mp1.ValidID(k.Application.ID) {
		const form = "must be " + mp1.IDForm
		if k.Application.ID == "" {
			k.fault("application.id", "is mandatory, and "+form)
		} else {
			k.fault("application.id", form+", not %s", shown(k.Application.ID))
		}
	}
	k.identity()
	k.local()
	k.identityUnused()
	k.tlsUnused()
}

func (k agentChecker) fault(path, format string, args ...any) {
	k.report(Fault{Where: k.origin.where(path), Path: path, Rule: fmt.Sprintf(format, args...)})
}

func (k agentChecker) platform() {
	p := k.Platform
	if len(p.Endpoints) == 0 {
		k.fault("platform.endpoints", "must name at least one URL")
	}
	for _, e := range p.Endpoints {
		if !agentEndpoint(e) {
			k.fault("platform.endpoints", "must be URLs such as http://10.0.0.1:30100, without user or query; one of them is not")
			break // not shown: a URL may hold a password
		}
	}
	if p.Prefix != "" && (!strings.HasPrefix(p.Prefix, "/") || strings.HasSuffix(p.Prefix, "/")) {
		k.fault("platform.prefix", "must begin with / and not end with it, not %s", shown(p.Prefix))
	}
	if p.Timeout < leastTimeout || p.Timeout > time.Minute {
		k.fault("platform.timeout", "must be from %s to %s, not %s", leastTimeout, time.Minute, p.Timeout)
	}
	if (p.CertFile == "") != (p.KeyFile == "") {
		missing, there := "platform.keyFile", "platform.certFile"
		if p.CertFile == "" {
			missing, there = there, missing
		}
		k.report(Fault{k.origin.where(there), missing, "must be given with " + there}, there)
	}
}

func agentEndpoint(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// identity checks that what the kind of identity needs is given, and each secret once. Of a
// secret and its file the one from the stronger source counts.
func (k agentChecker) identity() {
	i := &k.Identity
	need := func(path, value string) {
		if value == "" {
			k.report(Fault{k.origin.where("identity.kind"), path, fmt.Sprintf("is mandatory for identity.kind %s", i.Kind)}, "identity.kind")
		}
	}
	secret := func(path string, value *Secret, file *string) {
		switch {
		case *value == "" && *file == "":
			k.report(Fault{k.origin.where("identity.kind"), path + "File", fmt.Sprintf("is mandatory for identity.kind %s; or set %s", i.Kind, setting{path: path}.env())}, "identity.kind")
		case *value == "" || *file == "":
		case overrides(k.origin[path], k.origin[path+"File"]):
			k.Warnings = append(k.Warnings, Fault{k.origin.where(path + "File"), path + "File", "is not used beside " + k.origin.where(path)})
			*file = ""
		case overrides(k.origin[path+"File"], k.origin[path]):
			k.Warnings = append(k.Warnings, Fault{k.origin.where(path), path, "is not used beside " + k.origin.where(path+"File")})
			*value = ""
		default:
			k.report(Fault{k.origin.where(path + "File"), path + "File", "must not be given beside " + k.origin.where(path)}, path)
		}
	}
	switch i.Kind {
	case TokenFile:
		need("identity.tokenFile", i.TokenFile)
	case OAuth2:
		need("identity.tokenURL", i.TokenURL)
		need("identity.clientId", i.ClientID)
		secret("identity.clientSecret", &i.ClientSecret, &i.ClientSecretFile)
		if i.TokenURL != "" && !agentEndpoint(i.TokenURL) {
			k.fault("identity.tokenURL", "must be an http:// or https:// URL without user or query")
		}
	case AccessKey:
		secret("identity.accessKey", &i.AccessKey, &i.AccessKeyFile)
		secret("identity.secretKey", &i.SecretKey, &i.SecretKeyFile)
	}
}

func (k agentChecker) local() {
	l := k.Local
	if l.Listen == "" {
		if l.EdgeGallery {
			k.report(Fault{k.origin.where("local.edgeGallery"), "local.edgeGallery", "needs local.listen"}, "local.listen")
		}
		return
	}
	if rule := listenRule(l.Listen); rule != "" {
		k.fault("local.listen", "%s", rule)
		return
	}
	if l.EdgeGallery && !loopback(l.Listen) {
		k.report(Fault{k.origin.where("local.listen"), "local.listen",
			"must be on loopback while local.edgeGallery is true, for that API hands the token out to whoever asks"}, "local.edgeGallery")
	}
}
