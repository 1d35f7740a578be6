package operate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/cmd/terminal"
	"github.com/mec-liveness/mepserver/conf"
)

const (
	etcdTimeout = 5 * time.Second
	maxVersion  = 4 << 10
)

// disk looks at the file system of an embedded store.
func (d *Doctor) disk(s conf.Store) {
	info, err := os.Stat(s.DataDir)
	switch {
	case err != nil:
		d.note("disk", problem, "--data-dir or --config names the folder of the store", "%s", terminal.Cell(err.Error()))
		return
	case info.Mode().Perm()&0o077 != 0:
		d.note("data folder", warning, "chmod 700 it: whoever reads it reads every registration and key", "others may open %s", terminal.Cell(s.DataDir))
	}
	free, kind, err := fileSystem(s.DataDir)
	if err != nil {
		d.note("disk", skipped, "", "%s", terminal.Cell(err.Error()))
		return
	}
	d.judgeDisk(free, kind, uint64(s.QuotaBytes))
}

// judgeDisk says whether a store may lie on such a file system.
func (d *Doctor) judgeDisk(free uint64, kind string, quota uint64) {
	const mib = 1 << 20
	switch {
	case slices.Contains([]string{"nfs", "cifs", "smb2", "9p", "fuse"}, kind):
		d.note("disk", problem, "etcd needs a disk of this machine: its locks and its fsync cannot be relied on there", "the store lies on %s", kind)
	case free < 512*mib:
		d.note("disk", problem, "make room: etcd stops when it cannot write", "%d MiB are free", free/mib)
	case kind == "tmpfs":
		d.note("disk", warning, "it is gone with the next start of the machine", "the store lies in memory (tmpfs)")
	case free < 2*quota:
		d.note("disk", warning, "store.quotaBytes is what the database may grow to, and its log needs room beside it", "%d MiB are free, and the database may grow to %d MiB", free/mib, quota/mib)
	default:
		d.note("disk", fine, "", "%d MiB are free", free/mib)
	}
}

// cluster asks the members of an etcd cluster which version they are.
func (d *Doctor) cluster(ctx context.Context, s conf.Store) {
	client, err := etcdClient(s)
	if err != nil {
		d.note("etcd", problem, "", "%s", terminal.Cell(err.Error()))
		return
	}
	var versions []string
	for _, e := range s.Endpoints {
		v, err := etcdVersion(ctx, client, e)
		if err != nil {
			d.note("etcd", warning, "is the member down, or the way to it?", "%s: %s", terminal.Cell(e), terminal.Cell(err.Error()))
			continue
		}
		if !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
	}
	slices.Sort(versions)
	switch n := len(s.Endpoints); {
	case len(versions) == 0:
		d.note("etcd", problem, "start it: without a majority of its members nothing can be registered", "none of %d members answers", n)
	case len(versions) > 1:
		d.note("etcd", warning, "finish the upgrade", "its members have different versions: %s", terminal.Cell(strings.Join(versions, ", ")))
	case n < 3:
		d.note("etcd", warning, "three members survive the loss of one, fewer none; name all of them in store.endpoints", "version %s, %d endpoints", terminal.Cell(versions[0]), n)
	default:
		d.note("etcd", fine, "", "version %s, %d endpoints", terminal.Cell(versions[0]), n)
	}
}

func etcdClient(s conf.Store) (*http.Client, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		b, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM(b)
	}
	if s.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return remote.NewClient(&http.Transport{TLSClientConfig: c}, etcdTimeout), nil
}

func etcdVersion(ctx context.Context, client *http.Client, endpoint string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(endpoint, "/")+"/version", nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(r)
	if err != nil {
		return "", remote.OnTheWay(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxVersion))
	var v struct {
		Server string `json:"etcdserver"`
	}
	if err != nil || json.Unmarshal(b, &v) != nil || v.Server == "" {
		return "", errors.New("it does not say which version it is")
	}
	return v.Server, nil
}
