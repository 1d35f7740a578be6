package provision

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Renewal is what Renew made.
type Renewal struct {
	Until time.Time
	Hosts []string // that the certificate names
	// Dropped are those that the old one named and the new one does not: whoever calls the
	// server by them is told that it is somebody else.
	Dropped []string
}

// Renew makes a new certificate and key for the server in the platform's directory, by its
// own authority. Without hosts the new certificate names those of the old one. Clients are
// told the address advertise (HOST:PORT; "": none), so hosts must have its host. A running
// server reads the pair when both files are there; until then it keeps the old one.
func Renew(dir string, hosts []string, advertise string, now time.Time) (r Renewal, err error) {
	if _, err := os.Lstat(filepath.Join(dir, Authority)); errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("no platform in %s; --dir names the folder that init made", dir)
	}
	old, err := hostsBefore(dir)
	if err != nil && len(hosts) == 0 {
		return r, err
	}
	next := old
	if len(hosts) > 0 {
		if next, err = parseHosts(hosts); err != nil {
			return r, err
		}
		if err := checkNames(next, advertise); err != nil {
			return r, err
		}
	}
	ca, caKey, err := readAuthority(dir)
	if err != nil {
		return r, err
	}
	if !now.Before(ca.NotAfter) {
		return r, fmt.Errorf("%s ended at %s: begin with a new authority in another directory", filepath.Join(dir, Authority), ca.NotAfter.UTC().Format(time.RFC3339))
	}
	files, err := serverPair(next, now, ca, caKey)
	if err != nil {
		return r, err
	}
	made, err := x509.ParseCertificate(mustDecode(files[0].content))
	if err != nil {
		return r, err
	}
	r.Until = made.NotAfter
	for _, h := range next {
		r.Hosts = append(r.Hosts, h.name)
	}
	for _, h := range old {
		if !slices.Contains(next, h) {
			r.Dropped = append(r.Dropped, h.name)
		}
	}
	return r, replace(dir, files)
}

// checkNames refuses hosts of a new certificate without the host of an address. Whoever is
// told to call the server by another cannot verify it.
func checkNames(hosts []host, address string) error {
	text, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil //nolint:nilerr // there is none
	}
	h, err := parseHost(text)
	if err != nil || slices.Contains(hosts, h) {
		return nil //nolint:nilerr // a host that no certificate of ours can name
	}
	return fmt.Errorf("clients are told to call %s, which is not among the hosts: give --host %s too, or change server.advertise in %s first", address, h.name, Configuration)
}

// hostsBefore are those that the certificate in the directory names.
func hostsBefore(dir string) ([]host, error) {
	old, err := readCertificate(filepath.Join(dir, serverCertificate))
	if err != nil {
		return nil, err
	}
	return hostsOf(old)
}

func hostsOf(c *x509.Certificate) ([]host, error) {
	texts := c.DNSNames
	for _, ip := range c.IPAddresses {
		texts = append(texts, ip.String())
	}
	return parseHosts(texts)
}

func mustDecode(b []byte) []byte {
	block, _ := pem.Decode(b)
	return block.Bytes
}

// replace puts new files in place of old ones, each complete from its first moment on, and
// with the owner and the mode of the old one: the server that reads it may be another user's.
func replace(dir string, files []file) error {
	outputs := make([]*Output, len(files))
	for i, f := range files {
		o, err := OpenOutput(filepath.Join(dir, f.name), true)
		if err != nil {
			return err
		}
		defer o.Close()
		if err := o.write(f.content); err != nil {
			return err
		}
		outputs[i] = o
	}
	var failed error
	for _, o := range outputs {
		failed = errors.Join(failed, o.place())
	}
	return failed
}
