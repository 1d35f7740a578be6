package servicecenter

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/edgegallery"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store"
)

// importReport is the file in the data directory that says what was imported.
const importReport = "edgegallery-import.txt"

// importAtStart fills a new store of what EdgeGallery's mepserver has kept, before anybody is
// served. An import that was cut off is done again or, if its source is gone, erased: once anybody
// is served from it, the next import would erase what was registered since. An error is a reason
// not to start: begun without its services, the store would not be new any more.
func importAtStart(ctx context.Context, h *plugins.Host, s *store.Store, o etcd.Options) error {
	from := h.Config.EdgeGallery.ImportFrom
	tags := openlog.Tags{"from": sourceName(from)}
	done, used, err := s.Imported(ctx)
	half := done != nil && done.Ended == 0
	switch {
	case err != nil:
		return fmt.Errorf("cannot see whether the store was imported: %w", err)
	case half && !used && o.Cluster != nil: // it may be under way, and other replicas start as well
		return errors.New("an import into the cluster is not at its end; when no mepserver import runs any more, carry it out again before servers start, or erase what it has left with mepserver import --discard")
	case half && !used && (from == "" || errors.Is(source(from, h.Config, o).Check(), edgegallery.ErrNothing)):
		if err := s.DropImport(ctx); err != nil {
			return fmt.Errorf("cannot erase what an import has left that was cut off: %w", err)
		}
		h.Log.Warn("an import was cut off and its source is gone: what it had written is erased, and the store is new", openlog.WithTags(tags))
		return nil
	case from == "":
		return nil
	case o.Cluster != nil:
		h.Log.Warn("nothing is imported at the start of a replica: other replicas may serve the cluster already; use mepserver import", openlog.WithTags(tags))
		return nil
	case done != nil && !half:
		return importAnew(ctx, h, s, o, done)
	case used:
		h.Log.Info("EdgeGallery's services are not imported: the store is not new", openlog.WithTags(tags))
		return nil
	case errors.Is(source(from, h.Config, o).Check(), edgegallery.ErrNothing):
		h.Log.Info("EdgeGallery's mepserver has kept nothing that could be imported", openlog.WithTags(tags))
		return nil
	}
	report, err := fill(ctx, s, source(from, h.Config, o), half)
	if err != nil {
		return fmt.Errorf("EdgeGallery's services cannot be imported: %w; until they are, the old image goes on with them, or %s to begin without them", err, withoutIt(from))
	}
	logReport(h.Log, report)
	return saveReport(o.DataDir, report)
}

// sourceName is a source without what may be secret in a URL.
func sourceName(from string) string {
	if scheme, rest, is := strings.Cut(from, "://"); is {
		return scheme + "://" + plugins.Clean(rest[strings.LastIndex(rest, "@")+1:])
	}
	return from
}

// withoutIt says what to do so that nothing is imported from a source. A data directory may be a
// volume that holds this server's as well: only EdgeGallery's part of it may be moved.
func withoutIt(from string) string {
	if edgegallery.IsEndpoint(from) {
		return "leave edgegallery.importFrom empty"
	}
	return "move " + edgegallery.MemberOf(from) + " away"
}

func source(from string, c conf.Config, o etcd.Options) *edgegallery.Source {
	return &edgegallery.Source{From: from, Temp: cmp.Or(o.DataDir, os.TempDir()), Options: o, Now: time.Now(), Window: c.Liveness.Window(edgegallery.Interval * time.Second)}
}

const loggedLines = 50 // of what was left out; the file has more

func logReport(log openlog.Logger, r *edgegallery.Report) {
	log.Info("EdgeGallery's services were imported", openlog.WithTags(openlog.Tags{"from": r.Source, "services": r.Services(),
		"active": r.States[heartbeat.Active], "suspended": r.States[heartbeat.Suspended], "inactive": r.States[heartbeat.Inactive],
		"subscriptions": r.Availability + r.Terminations, "configured": r.Configured, "published": r.Published, "leftOut": r.LeftOut, "report": importReport}))
	for i, l := range r.Left {
		if i == loggedLines {
			break
		}
		log.Warn("this was not imported", openlog.WithTags(openlog.Tags{"key": l.Key, "reason": l.Reason}))
	}
	for i, n := range r.Notes {
		if i == loggedLines {
			break
		}
		log.Warn("the import changed something", openlog.WithTags(openlog.Tags{"what": n}))
	}
}

// saveReport writes the report beside the store. Whoever reads it needs no log.
func saveReport(dataDir string, r *edgegallery.Report) error {
	if dataDir == "" {
		return nil
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "imported %s ", time.Now().UTC().Format(time.RFC3339))
	r.Print(&b)
	return os.WriteFile(filepath.Join(dataDir, importReport), b.Bytes(), 0o600)
}

// Import fills the store that the configuration names of what EdgeGallery's mepserver has kept
// in a data directory or at the URL of its etcd. No server may use the store, which must be new.
// A rehearsal only prints the report, and does not look at the store. fail is as in plugins.Host.
func Import(ctx context.Context, c conf.Config, from string, rehearse bool, log openlog.Logger, out io.Writer, fail func(why string)) error {
	o := etcd.Options{Probe: keys.Cluster, Log: log, Repeats: logs.NewRepeats(log), Fail: fail}
	if rehearse {
		src := source(from, c, o)
		if c.Store.Kind == conf.Embedded { // a container may have no other place that it can write to
			src.Else = []string{c.Store.DataDir, filepath.Dir(c.Store.DataDir)}
		}
		all, err := src.Read(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "would import ")
		all.Report.Print(out)
		return nil
	}
	report, dir, err := importInto(ctx, c, from, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "imported ")
	report.Print(out)
	return saveReport(dir, report)
}

func importInto(ctx context.Context, c conf.Config, from string, o etcd.Options) (r *edgegallery.Report, dir string, err error) {
	o, err = storeOptions(c, o)
	src := source(from, c, o)
	if err = errors.Join(err, src.Check()); err != nil {
		return nil, "", err
	}
	err = withStore(ctx, o, func(s *store.Store) error {
		done, used, err := s.Imported(ctx)
		switch {
		case err != nil:
			return err
		case used:
			return errors.New("the store holds services or other things already, and is left as it is; choose another --data-dir, or move it away")
		}
		if err := unused(ctx, s); err != nil {
			return err
		}
		r, err = fill(ctx, s, src, done != nil)
		return err
	})
	return r, o.DataDir, err
}

// DiscardImport erases what an import has left that was cut off, so that the store is new. It is the
// way out where the source is lost: a cluster has nobody who could tell that no import runs any more.
func DiscardImport(ctx context.Context, c conf.Config, log openlog.Logger, out io.Writer, fail func(why string)) error {
	o, err := storeOptions(c, etcd.Options{Probe: keys.Cluster, Log: log, Repeats: logs.NewRepeats(log), Fail: fail})
	if err != nil {
		return err
	}
	if _, err := os.Stat(etcd.Dir(o.DataDir)); o.DataDir != "" && err != nil {
		return fmt.Errorf("there is no store in %s", o.DataDir)
	}
	return withStore(ctx, o, func(s *store.Store) error {
		done, used, err := s.Imported(ctx)
		switch {
		case err != nil:
			return err
		case done == nil || done.Ended != 0:
			return errors.New("no import was cut off there; nothing is changed")
		case used: // by a release that does not know of imports
			return errors.New("something was registered since the import was cut off, and the store is left as it is")
		}
		if err := unused(ctx, s); err != nil {
			return err
		}
		if err := s.DropImport(ctx); err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "erased what an import of %s from %s has left\n", time.Unix(0, done.Begun).UTC().Format(time.RFC3339), sourceName(done.From))
		return err
	})
}

// unused says that no server uses the store.
func unused(ctx context.Context, s *store.Store) error {
	if alone, err := s.Alone(ctx); err != nil || !alone {
		return errors.Join(err, errors.New("servers use the store; stop them first"))
	}
	return nil
}

// storeOptions say where the store of a configuration is.
func storeOptions(c conf.Config, o etcd.Options) (etcd.Options, error) {
	var err error
	if c.Store.Kind == conf.Etcd {
		o.Cluster, err = etcd.NewRemote(c.Store)
	} else {
		o.DataDir, err = filepath.Abs(c.Store.DataDir)
		o.Quota = int64(c.Store.QuotaBytes)
	}
	return o, err
}

// withStore does something with a store that nothing else opens.
func withStore(ctx context.Context, o etcd.Options, do func(*store.Store) error) error {
	db, err := etcd.Open(ctx, o)
	if err != nil {
		return err
	}
	defer db.Close()
	s := store.New(store.Options{Client: db, Log: o.Log})
	defer s.Close()
	if err := s.CheckSchema(ctx); err != nil {
		return err
	}
	return do(s)
}
