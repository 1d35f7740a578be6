package servicecenter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store"
)

// CredentialStore is an embedded store that was opened for its credentials.
type CredentialStore struct {
	plugins.Credentials
	store  *store.Store
	client *etcd.Client
}

// ErrNoStore says that a directory has no store to be opened.
var ErrNoStore = errors.New("there is no store")

// OfflineCredentials opens the embedded store in dataDir, which no server uses, for its
// credentials. Unless create says so, it must be there: a directory that was misspelt would
// get a store that nobody reads. fail is as in plugins.Host.
func OfflineCredentials(ctx context.Context, dataDir string, create bool, quota int64, log openlog.Logger, fail func(why string)) (*CredentialStore, error) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(etcd.Dir(dir)); err != nil && !create {
		return nil, fmt.Errorf("%w in %s, and no server that answers", ErrNoStore, dataDir)
	}
	c, err := etcd.Open(ctx, etcd.Options{DataDir: dir, Quota: quota, Probe: keys.Cluster, Log: log, Repeats: logs.NewRepeats(log), Fail: fail})
	if err != nil {
		return nil, err
	}
	s := store.New(store.Options{Client: c, Log: log})
	if err := s.CheckSchema(ctx); err != nil {
		s.Close()
		c.Close()
		return nil, err
	}
	return &CredentialStore{s, s, c}, nil
}

// List returns all credentials.
func (c *CredentialStore) List(ctx context.Context) ([]plugins.Credential, error) {
	all, err := c.store.Credentials(ctx)
	if err != nil {
		return nil, errors.New("the store did not show its credentials; try again")
	}
	return all, nil
}

// Close closes the store; what was acknowledged is on disk.
func (c *CredentialStore) Close() {
	c.store.Close()
	c.client.Close()
}
