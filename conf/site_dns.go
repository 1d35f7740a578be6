package conf

import (
	"io/fs"
	"net"
	"path/filepath"
	"strconv"

	yaml "go.yaml.in/yaml/v3"
)

// siteConfig is what config.yaml of EdgeGallery's mepserver says of DNS.
type siteConfig struct {
	DNSAgent struct {
		Type     string `yaml:"type"` // local, dataplane or all
		EndPoint struct {
			Address struct {
				Host string `yaml:"host"`
				Port int    `yaml:"port"`
			} `yaml:"address"`
		} `yaml:"endPoint"`
	} `yaml:"dnsAgent"`
}

// dns reads by what DNS rules are applied. EdgeGallery's mepserver starts without it, too.
func (s *site) dns() {
	const driver = "rules.dns.driver"
	data, err := readFile(filepath.Join(s.root, siteDNS))
	var c siteConfig
	switch {
	case err != nil:
		if pe, is := err.(*fs.PathError); is { //nolint:errorlint // as os.Open made it; the path is said already
			err = pe.Err
		}
		s.warn(siteDNS, driver, "cannot be read (%v): DNS rules are kept, and no name resolves by them; mount the Secret mep-config at %s", err, filepath.Dir(siteDNS))
		return
	case len(data) > maxFile || yaml.Unmarshal(data, &c) != nil:
		s.warn(siteDNS, driver, "is no YAML with dnsAgent: {type, endPoint: {address: {host, port}}}: DNS rules are kept, and no name resolves by them; correct the Secret mep-config")
		return
	}
	at := c.DNSAgent.EndPoint.Address
	switch {
	case c.DNSAgent.Type == "dataplane":
		s.warn(siteDNS, driver, "has dnsAgent.type dataplane, and there is no data plane: DNS rules are kept, and no name resolves by them; set it to local or all for dns-server")
	case c.DNSAgent.Type != "local" && c.DNSAgent.Type != "all":
		s.warn(siteDNS, driver, "must have dnsAgent.type local, dataplane or all, not %s: DNS rules are kept, and no name resolves by them", shown(c.DNSAgent.Type))
	case at.Host == "" || at.Port < 1 || at.Port > 65535:
		s.warn(siteDNS, driver, "must have the host and port of dns-server in dnsAgent.endPoint.address: DNS rules are kept, and no name resolves by them")
	default:
		s.set(driver, siteDNS, string(DNSEdgeGallery))
		s.set("rules.dns.url", siteDNS, "http://"+net.JoinHostPort(at.Host, strconv.Itoa(at.Port)))
	}
}
