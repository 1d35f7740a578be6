package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/admin"
	"github.com/mec-liveness/mepserver/plugins/servicecenter"
)

func check(_ context.Context, p environment, c conf.Config, _ given) error {
	if c.Store.Kind != conf.Embedded {
		return errors.New("only an embedded store can be checked; for a cluster use etcdctl endpoint health and etcdutl hashkv")
	}
	return servicecenter.Check(c.Store.DataDir, p.out)
}

// backup asks the running server, or opens the store itself if there is none.
func backup(ctx context.Context, p environment, c conf.Config, g given) error {
	if err := servicecenter.BackupTarget(g.args[0], g.on("force"), c.Store.DataDir); err != nil {
		return err
	}
	from, size, err := askServer(ctx, c)
	if errors.Is(err, admin.ErrNotServed) && c.Store.Kind == conf.Embedded {
		from, size, err = servicecenter.OfflineBackup(ctx, c.Store.DataDir, int64(c.Store.QuotaBytes), plugins.NewLog(p.errs, "WARN"), p.fail)
	}
	if err != nil {
		return err
	}
	err = servicecenter.SaveBackup(ctx, g.args[0], g.on("force"), from, size, p.errs)
	if err = errors.Join(err, from.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "wrote %s (%d bytes)\n", g.args[0], size)
	return err
}

// askServer has the running server make a backup; admin.ErrNotServed: there is none.
func askServer(ctx context.Context, c conf.Config) (io.ReadCloser, int64, error) {
	path := c.AdminSocket()
	switch {
	case c.Store.Kind != conf.Embedded:
		return nil, 0, errors.New("only an embedded store is backed up by this command; for a cluster use etcdctl snapshot save")
	case path == "":
		return nil, 0, admin.ErrNotServed
	}
	return admin.Get(ctx, path, servicecenter.BackupRoute)
}

func restore(ctx context.Context, p environment, c conf.Config, g given) error {
	if c.Store.Kind != conf.Embedded {
		return errors.New("only an embedded store is restored by this command; for a cluster use etcdutl snapshot restore")
	}
	return servicecenter.Restore(ctx, g.args[0], c.Store.DataDir, p.errs, p.out, p.fail)
}

func importStore(ctx context.Context, p environment, c conf.Config, g given) error {
	switch from, discard := g.has("edgegallery"), g.on("discard"); {
	case from == discard:
		return errors.New("mepserver import needs --edgegallery DIR|URL, or --discard; --help says more")
	case discard:
		return servicecenter.DiscardImport(ctx, c, plugins.NewLog(p.errs, "WARN"), p.out, p.fail)
	}
	return servicecenter.Import(ctx, c, g.last("edgegallery"), g.on("dry-run"), plugins.NewLog(p.errs, "WARN"), p.out, p.fail)
}
