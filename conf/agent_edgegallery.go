package conf

import (
	"net"
	"os"
	"strings"
)

// variables are the environment variables that are not empty.
func variables(environ []string) map[string]string {
	env := map[string]string{}
	for _, kv := range environ {
		if name, text, ok := strings.Cut(kv, "="); ok && text != "" {
			env[name] = text
		}
	}
	return env
}

// edgeGalleryEnvironment is what an environment made for EdgeGallery's agent says, so that
// an application there changes nothing but its image. Unlike there, certificates are
// verified, against CA_CERT if that file is there, and the local API listens on loopback.
type edgeGalleryEnvironment struct {
	file     string  // its list of services; "": there is none
	implied  []value // follows from there being such an environment; every other source wins
	given    []value // by variables: they win over the file, and MEP_ variables over them
	warnings Faults
}

// readEdgeGalleryEnvironment reads the environment variables that EdgeGallery's agent is configured by. APPINSTID
// makes an environment one that is made for it.
func readEdgeGalleryEnvironment(environ []string) (e edgeGalleryEnvironment) {
	env := variables(environ)
	if env["APPINSTID"] == "" {
		for _, name := range []string{"MEP_IP", "AK", "SK"} {
			if env[name] != "" {
				e.warnings.add(name, "", "is not used: without APPINSTID this is not an environment for EdgeGallery's agent")
			}
		}
		return e
	}
	e.set("application.id", "APPINSTID", env["APPINSTID"])
	e.set("identity.accessKey", "AK", env["AK"])
	e.set("identity.secretKey", "SK", env["SK"])
	for _, name := range []string{"SK", "AK"} {
		if env[name] != "" {
			e.set("identity.kind", name, string(AccessKey))
		}
	}
	scheme := e.platform(env)
	if scheme == "https" || strings.Contains(env[setting{path: "platform.endpoints"}.env()], "https:") {
		e.set("platform.serverName", "CA_CERT_DOMAIN_NAME", env["CA_CERT_DOMAIN_NAME"])
		e.authority(env["CA_CERT"])
	}
	for path, word := range map[string]string{"local.listen": "127.0.0.1:8080", "local.edgeGallery": "true"} {
		e.implied = append(e.implied, value{path: path, where: "APPINSTID", words: []string{word}})
	}
	e.file = e.findInstanceInfo()
	return e
}

// set has a variable give a setting, unless it is empty.
func (e *edgeGalleryEnvironment) set(path, variable, word string) {
	if word != "" {
		e.given = append(e.given, value{path: path, where: variable, rank: rankEdgeGallery, words: []string{word}})
	}
}

// platform reads where the gateway is, and returns the scheme, "" if nothing says where.
func (e *edgeGalleryEnvironment) platform(env map[string]string) (scheme string) {
	ip, port := env["MEP_IP"], env["MEP_APIGW_PORT"]
	if ip == "" {
		return ""
	}
	scheme = "https"
	if strings.EqualFold(env["EG_PROTOCOL"], "http") {
		scheme, port = "http", "8000" // the gateway's port without TLS, whatever MEP_APIGW_PORT is
	}
	if port == "" {
		port = "8443"
	}
	e.set("platform.endpoints", "MEP_IP", scheme+"://"+net.JoinHostPort(ip, port))
	e.set("platform.prefix", "MEP_IP", "/mep")
	return scheme
}

// authority reads CA_CERT. EdgeGallery's deployments name a file that is often not there,
// for its agent verifies nothing.
func (e *edgeGalleryEnvironment) authority(file string) {
	if file == "" {
		return
	}
	if _, err := os.Stat(file); err != nil {
		e.warnings.add("CA_CERT", "platform.caFile", "names a file that cannot be read (%s); the platform's certificate is verified against the system's roots", shown(file))
		return
	}
	e.set("platform.caFile", "CA_CERT", file)
}

// findInstanceInfo is the path of EdgeGallery's list of services; "" if it is nowhere.
func (e *edgeGalleryEnvironment) findInstanceInfo() string {
	for _, path := range instanceInfo {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	e.warnings.add("APPINSTID", "", "is set, as for EdgeGallery's agent, but there is no %s", strings.Join(instanceInfo, " and no "))
	return ""
}
