package conf

import (
	"net"
	"os"
	"path/filepath"
	"strings"
)

// What EdgeGallery's chart mounts into its mepserver, and what its names are worth there.
const (
	siteData    = "/usr/mep/data"                 // a volume; EdgeGallery's own data, and below it ours
	siteStore   = siteData + "/mepserver"         // ours
	siteFiles   = "/usr/mep/ssl"                  // SSL_ROOT of the chart, into which EdgeGallery's image copies
	siteSecret  = "/usr/mep/ssl_tmp"              // the mounted Secret mep-ssl, which is read in place
	siteDNS     = "/usr/mep/conf/mep/config.yaml" // the mounted Secret mep-config
	siteKey     = "/usr/mep/keys/jwt_publickey"   // of mepauth's tokens, if somebody mounts it
	siteAuth    = "mepauth"                       // the Service, and its port
	sitePort    = "10443"
	siteGateway = "mep-api-gw.mep" // what consumers know the gateway by
)

// site is what an environment made by EdgeGallery's chart for its mepserver says. Every other
// source wins over it.
type site struct {
	found    bool
	values   []value
	faults   Faults // one counts only if no other source gives its key
	warnings Faults // the same

	env   map[string]string
	root  string // of the file system: "" but in tests
	where string // the variable that the environment is known by
}

// readSite reads the variables that EdgeGallery's mepserver is configured by, and the files that
// its chart mounts. Kubernetes makes variables of the names of Services (MEP_MM5_PORT,
// MEPSERVER_APIGW_PORT of one named mepserver-apigw), so that only those make an environment
// EdgeGallery's that no Service can make.
func readSite(environ []string, root string) (s site) {
	s.env, s.root = variables(environ), root
	for _, name := range []string{"MEPSERVER_CERT_DOMAIN_NAME", "MEPSERVER_APIGW_HOST"} {
		if s.env[name] != "" {
			s.found, s.where = true, name
		}
	}
	if !s.found {
		return s
	}
	for path, words := range map[string][]string{
		"server.listen":               {"0.0.0.0:8088"},
		"compat":                      {string(CompatEdgeGallery)},
		"store.dataDir":               {siteStore},
		"store.quotaBytes":            {"512MiB"},            // the volume has 1Gi, and holds etcd's log and EdgeGallery's own data, too
		"notify.allowedCallbackCIDRs": {"0.0.0.0/0", "::/0"}, // applications are anywhere; neither opens addresses of one link or SitePorts of the pod
		"timing.ntpServers":           {"mep-ntp minpoll 4 maxpoll 17"},
	} {
		s.set(path, s.where, words...)
	}
	s.stored()
	secure := s.tls()
	s.peers(secure)
	s.dns()
	return s
}

// set gives a setting what the environment has for it.
func (s *site) set(path, variable string, words ...string) {
	s.values = append(s.values, value{path: path, where: variable, rank: rankSite, words: words})
}

func (s *site) warn(variable, path, format string, args ...any) {
	s.warnings.add(variable, path, format, args...)
}

// exists says whether there is a file or directory.
func (s *site) exists(path string) bool {
	_, err := os.Stat(filepath.Join(s.root, path))
	return err == nil
}

// stored looks at the volume. etcd of EdgeGallery's release has its data in a directory member.
func (s *site) stored() {
	if !s.exists(siteData) {
		s.warn(s.where, "store.dataDir", "is in %s, which is not mounted: what is registered is lost with the container; mount a volume there", siteData)
	}
	if s.exists(siteData + "/member") {
		s.set("edgegallery.importFrom", siteData, siteData)
	}
}

// tls reads by which protocol the server is called, and says whether it is HTTPS.
func (s *site) tls() (secure bool) {
	switch text := s.env["SSL_ENABLED"]; {
	case strings.EqualFold(text, "false"):
		s.warn("SSL_ENABLED", "server.tls.certFile", "is false: tokens, the gateway's header and what applications register pass in the clear, and whoever is on the way can be anybody; "+
			"set global.ssl.enabled of EdgeGallery's chart to true")
		return false
	case text != "" && !strings.EqualFold(text, "true"):
		s.faults.add("SSL_ENABLED", "server.tls.certFile", "must be true or false, not %s", shown(text))
		return true
	}
	dir, where := s.certificates()
	if dir == "" {
		s.faults.add(where, "server.tls.certFile", "there is no server.cer in %s; mount the Secret mep-ssl (server.cer, server_key.pem, trust.cer) at %s, or set SSL_ENABLED to false",
			strings.Join(s.folders(), " and none in "), siteSecret)
		return true
	}
	s.set("server.tls.certFile", where, filepath.Join(s.root, dir, "server.cer"))
	s.set("server.tls.keyFile", where, filepath.Join(s.root, dir, "server_key.pem"))
	if password := strings.TrimRight(s.env["TLS_KEY"], "\r\n"); password != "" {
		s.set("server.tls.keyPassword", "TLS_KEY", password)
	}
	return true
}

// folders are where the certificates may be: EdgeGallery's image copies those of the Secret
// over those in SSL_ROOT, unless SSL_ROOT is elsewhere.
func (s *site) folders() []string {
	if other := s.env["SSL_ROOT"]; other != "" && filepath.Clean(other) != siteFiles {
		return []string{other, siteSecret}
	}
	return []string{siteSecret, siteFiles}
}

// certificates is where they are, and what says so; "": nowhere.
func (s *site) certificates() (dir, where string) {
	where = s.where
	if s.env["SSL_ROOT"] != "" {
		where = "SSL_ROOT"
	}
	for _, dir := range s.folders() {
		if s.exists(filepath.Join(dir, "server.cer")) {
			return dir, where
		}
	}
	return "", where
}

// peers reads where the gateway and mepauth are, and how they prove that they are.
func (s *site) peers(secure bool) {
	protocol := strings.ToLower(s.env["HTTP_PROTOCOL"])
	switch {
	case protocol == "":
		protocol = map[bool]string{true: "https", false: "http"}[secure]
	case protocol != "http" && protocol != "https":
		s.faults.add("HTTP_PROTOCOL", "edgegallery.gateway.admin", "must be http or https, not %s", shown(protocol))
		return
	}
	s.gateway(protocol)
	s.mepauth(protocol)
	if protocol == "https" {
		s.authority()
	} else if secure {
		s.warn("HTTP_PROTOCOL", "edgegallery.gateway.admin", "is http: Kong and mepauth are asked in the clear; set it to https")
	}
	if s.exists(siteKey) {
		s.set("edgegallery.tokenKeyFile", siteKey, filepath.Join(s.root, siteKey))
	}
}

func (s *site) gateway(protocol string) {
	const variable = "MEPSERVER_APIGW_HOST"
	host, port := s.env[variable], s.env["MEPSERVER_APIGW_PORT"]
	if host == "" {
		s.warn(variable, "edgegallery.gateway.admin", "is not set: services are not published at Kong, and consumers get their endpoints as they were registered; set it to the host of Kong's Admin API")
		return
	}
	admin, public := "8444", "8443"
	if protocol == "http" {
		admin, public = "8001", "8000"
	}
	if port != "" {
		admin = port
	}
	s.set("edgegallery.gateway.admin", variable, protocol+"://"+net.JoinHostPort(host, admin))
	s.set("edgegallery.gateway.public", variable, protocol+"://"+net.JoinHostPort(siteGateway, public))
}

// mepauth reads the variables that Kubernetes makes of the Service mepauth.
func (s *site) mepauth(protocol string) {
	const variable = "MEPAUTH_PORT_10443_TCP_ADDR"
	host, port := s.env[variable], s.env["MEPAUTH_SERVICE_PORT"]
	if host == "" || port == "" {
		host, port = siteAuth, sitePort
		s.warn(variable, "edgegallery.mepauth", "or MEPAUTH_SERVICE_PORT is not set, which Kubernetes does for the Service mepauth: it is looked for as %s:%s, and while it does not answer applications discover nothing; "+
			"create the Service before the pod, or set MEP_EDGEGALLERY_MEPAUTH", siteAuth, sitePort)
	}
	s.set("edgegallery.mepauth", variable, protocol+"://"+net.JoinHostPort(host, port))
}

// authority reads how the certificates of the gateway and of mepauth are verified.
func (s *site) authority() {
	const variable = "MEPSERVER_CERT_DOMAIN_NAME"
	for _, dir := range s.folders() {
		trust := filepath.Join(dir, "trust.cer")
		if !s.exists(trust) {
			continue
		}
		s.set("edgegallery.caFile", "SSL_ROOT", filepath.Join(s.root, trust))
		if name := s.env[variable]; name != "" {
			s.set("edgegallery.commonName", variable, name)
		} else {
			s.warn(variable, "edgegallery.commonName", "is not set: the certificates of Kong and mepauth must name their hosts, which those that EdgeGallery makes do not; set it to their common name, edgegallery")
		}
		return
	}
	s.warn("SSL_ROOT", "edgegallery.caFile", "there is no trust.cer in %s: the certificates of Kong and mepauth are verified against the system's authorities, which did not sign those that EdgeGallery makes; add it to the Secret mep-ssl",
		strings.Join(s.folders(), " and none in "))
}

// concern puts into a configuration what the environment means beyond settings, and reports
// what of it is wrong or missing, as far as no other source says better.
func (s *site) concern(c *Config, origin origins, all *Faults) {
	if !s.found {
		return
	}
	c.EdgeGallery.Site = true
	if overrides(origin["server.tls.keyPasswordFile"], origin["server.tls.keyPassword"]) {
		c.Server.TLS.KeyPassword = ""
	}
	for _, f := range s.faults {
		if origin[f.Path].rank <= rankSite {
			*all = append(*all, f)
		}
	}
	for _, f := range s.warnings {
		if origin[f.Path].rank <= rankSite {
			c.Warnings = append(c.Warnings, f)
		}
	}
}

// ServerSecretVariables are the environment variables of mepserver that may hold secrets. They
// are to be unset once they were read, so that no program and no page of ours can show them.
// ROOT_KEY is one that EdgeGallery's mepserver needs and this one does not.
func ServerSecretVariables() []string {
	names := []string{"TLS_KEY", "ROOT_KEY"}
	for _, s := range settings(new(Config)) {
		if s.isSecret() {
			names = append(names, s.env())
		}
	}
	return names
}
