// Package edgegallery has domain names served by EdgeGallery's dns-server, by the REST interface
// of its management port. It must not know rules nor applications, and sends nothing that would
// make that server say success for what it does not serve.
package edgegallery

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

const (
	// setTimeout bounds one Set with a server that does not answer.
	setTimeout = 10 * time.Second
	// maxAnswer is what is read of an answer, whose text nobody needs.
	maxAnswer = 4 << 10
	// root is where its interface is, and zone that of EdgeGallery's own mepserver, so that what
	// that one left is replaced and removed as well.
	root = "/mep/dns_server_mgmt/v1/rrecord"
	zone = "?zone=."
)

// Driver keeps names at one dns-server. It is safe for concurrent use.
type Driver struct {
	base   string // scheme://host:port
	client *http.Client
}

var _ driver.DNS = (*Driver)(nil)

// New makes a driver of the settings of conf.DNSEdgeGallery.
func New(c conf.DNSRules) *Driver {
	return &Driver{base: strings.TrimSuffix(c.URL, "/"), client: &http.Client{
		// A proxy of the environment is for others; a redirect would lead an update elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: setTimeout}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    setTimeout,
			ResponseHeaderTimeout:  setTimeout,
			MaxResponseHeaderBytes: 16 << 10,
			MaxIdleConns:           2,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true,
		},
	}}
}

// resourceRecord is the body that dns-server reads.
type resourceRecord struct {
	Name  string   `json:"name"` // with its dot
	Type  string   `json:"type"`
	Class string   `json:"class"`
	TTL   uint32   `json:"ttl"`
	RData []string `json:"rData"`
}

// Set implements driver.DNS. dns-server answers for exact names alone, and takes no TTL of 0:
// that becomes a second.
func (d *Driver) Set(ctx context.Context, name string, t mp1.IPAddressType, records []driver.Record) error {
	if err := driver.Check(name, t, records); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, setTimeout)
	defer cancel()
	rr := newRecord(name, t, records)
	switch {
	case len(records) == 0:
		return d.remove(ctx, rr)
	case strings.HasPrefix(rr.Name, "*"):
		return errors.New("EdgeGallery's dns-server answers for exact names alone, and the name has a *")
	}
	return d.put(ctx, rr)
}

func newRecord(name string, t mp1.IPAddressType, records []driver.Record) resourceRecord {
	rr := resourceRecord{Name: strings.ToLower(strings.TrimSuffix(name, ".")) + ".", Type: "A", Class: "IN", TTL: mp1.MaxTTL}
	if t == mp1.IPv6 {
		rr.Type = "AAAA"
	}
	for _, r := range records {
		if a := r.Address.String(); !slices.Contains(rr.RData, a) {
			rr.RData = append(rr.RData, a)
		}
		rr.TTL = max(1, min(rr.TTL, r.TTL))
	}
	return rr
}

// put replaces a record by PUT, which is a 400 for one that is not there, or adds it by POST,
// which is a 400 for one that is. Between the two nobody else adds it, but who does wins only
// until the next Set.
func (d *Driver) put(ctx context.Context, rr resourceRecord) error {
	status, err := d.send(ctx, http.MethodPut, d.of(rr), rr)
	if err == nil && (status == http.StatusBadRequest || status == http.StatusNotFound) {
		status, err = d.send(ctx, http.MethodPost, d.base+root+zone, rr)
	}
	switch {
	case err != nil:
		return err
	case status == http.StatusOK:
		return nil
	case status == http.StatusRequestEntityTooLarge:
		return errors.New("EdgeGallery's dns-server takes no more than 4096 bytes for one name, and there are too many addresses")
	}
	return d.refused(status)
}

// remove removes a record. A removal that fails is a 500, and so is one of a record that is not
// there.
func (d *Driver) remove(ctx context.Context, rr resourceRecord) error {
	status, err := d.send(ctx, http.MethodDelete, d.of(rr), struct{}{})
	switch {
	case err != nil:
		return err
	case status == http.StatusOK, status == http.StatusNotFound:
		return nil
	case status != http.StatusInternalServerError:
		return d.refused(status)
	}
	absent, err := d.absent(ctx, rr)
	if err == nil && !absent {
		err = d.refused(status)
	}
	return err
}

// absent says whether there is no such record, which nothing at dns-server tells: it has no GET.
// But a PUT of the class "*", which is none that a record can have, changes nothing, and fails in
// one way (400) where there is no record and in another (500) where there is one.
func (d *Driver) absent(ctx context.Context, rr resourceRecord) (bool, error) {
	rr.Class, rr.TTL, rr.RData = "*", 1, []string{"0.0.0.0"}
	status, err := d.send(ctx, http.MethodPut, d.of(rr), rr)
	return status == http.StatusBadRequest, err
}

// of is the URL of a record. Its name has nothing that would have to be escaped there.
func (d *Driver) of(rr resourceRecord) string {
	return d.base + root + "/" + rr.Name + "/" + rr.Type + zone
}

func (d *Driver) refused(status int) error {
	if status >= 300 && status < 400 {
		return fmt.Errorf("%s is no dns-server of EdgeGallery: it answers %d, a redirect", d.base, status)
	}
	return fmt.Errorf("EdgeGallery's dns-server at %s refuses the record: it answers %d; its log says why", d.base, status)
}

// send sends a request and returns the status of its answer.
func (d *Driver) send(ctx context.Context, method, at string, body any) (status int, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(b))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "mepserver")
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("EdgeGallery's dns-server at %s does not answer: %w", d.base, driver.Cause(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }()                         // what is not read is of no use
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // so that the connection can be used again
	return resp.StatusCode, nil
}
