package conf

import (
	"net"
	"os"
	"strings"
)

// instanceInfo is where EdgeGallery's agent looks for its services.
const instanceInfo = "conf/app_instance_info.yaml"

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

// findInstanceInfo is the path of EdgeGallery's file if this is an environment made for its
// agent and the file is there, else "".
func findInstanceInfo(environ []string) string {
	if variables(environ)["APPINSTID"] == "" {
		return ""
	}
	if _, err := os.Stat(instanceInfo); err != nil {
		return ""
	}
	return instanceInfo
}

// fromEdgeGallery reads the environment variables that EdgeGallery's agent is configured by,
// so that an application there changes nothing but its image. Every other setting wins over
// them. Unlike there, certificates are verified, against CA_CERT if that file is there, and
// the local API listens on loopback only.
func fromEdgeGallery(src Sources) []value {
	env := variables(src.Environ)
	if env["APPINSTID"] == "" {
		return nil
	}
	var out []value
	set := func(path, where, word string) {
		if word != "" {
			out = append(out, value{path: path, where: where, words: []string{word}})
		}
	}
	set("application.id", "APPINSTID", env["APPINSTID"])
	set("identity.accessKey", "AK", env["AK"])
	set("identity.secretKey", "SK", env["SK"])
	if env["AK"] != "" || env["SK"] != "" {
		set("identity.kind", "AK", string(EdgeGallery))
	}
	if ip := env["MEP_IP"]; ip != "" {
		scheme, port := "https", env["MEP_APIGW_PORT"]
		if strings.EqualFold(env["EG_PROTOCOL"], "http") {
			scheme, port = "http", "8000" // the gateway's port without TLS, whatever MEP_APIGW_PORT is
		}
		if port == "" {
			port = "8443"
		}
		set("platform.endpoints", "MEP_IP", scheme+"://"+net.JoinHostPort(ip, port))
		set("platform.prefix", "MEP_IP", "/mep")
		if scheme == "https" {
			set("platform.serverName", "CA_CERT_DOMAIN_NAME", env["CA_CERT_DOMAIN_NAME"])
		}
	}
	if file := env["CA_CERT"]; file != "" {
		if _, err := os.Stat(file); err == nil {
			set("platform.caFile", "CA_CERT", file)
		}
	}
	set("local.listen", "APPINSTID", "127.0.0.1:8080")
	set("local.edgeGallery", "APPINSTID", "true")
	return out
}
