package servicecenter

import (
	"context"
	"fmt"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/edgegallery"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store"
)

// importAnew is what a start does after an import that came to its end. A platform that goes back
// to its old image for a while, or never left it, has written to the source since; as long as
// nobody has written here, that is all there is to be had.
func importAnew(ctx context.Context, h *plugins.Host, s *store.Store, o etcd.Options, done *store.Import) error {
	from := h.Config.EdgeGallery.ImportFrom
	tags := openlog.Tags{"from": sourceName(from), "imported": time.Unix(0, done.Ended).UTC().Format(time.RFC3339), "services": done.Services}
	if !edgegallery.WrittenSince(from, time.Unix(0, done.Begun)) {
		h.Log.Info("EdgeGallery's services were imported before", openlog.WithTags(tags))
		return nil
	}
	holds, err := s.Holds(ctx)
	if err != nil {
		return fmt.Errorf("cannot see whether anything was written since the import: %w", err)
	}
	if holds != done.Holds {
		tags["then"] = "what it has written since is not here, for applications have written here as well; to import anew and lose the latter, stop mepserver, move " + o.DataDir + " away and start it"
		h.Log.Warn("EdgeGallery's services were imported before, and its mepserver has written since", openlog.WithTags(tags))
		return nil
	}
	src := source(from, h.Config, o)
	all, err := read(ctx, src)
	if err != nil {
		tags["reason"] = plugins.Clean(err.Error())
		h.Log.Warn("EdgeGallery's mepserver has written since the import, and cannot be imported anew; what was imported before is served", openlog.WithTags(tags))
		return nil
	}
	if err := write(ctx, s, src, all, true); err != nil {
		return fmt.Errorf("EdgeGallery's services cannot be imported anew: %w; start again", err)
	}
	h.Log.Warn("EdgeGallery's mepserver has written since the import, and nobody here: its services are imported anew", openlog.WithTags(tags))
	logReport(h.Log, &all.Report)
	return saveReport(o.DataDir, &all.Report)
}

// fill writes what is at the source into the store. half says that an import was begun.
func fill(ctx context.Context, s *store.Store, from *edgegallery.Source, half bool) (*edgegallery.Report, error) {
	all, err := read(ctx, from)
	if err != nil {
		return nil, err
	}
	return &all.Report, write(ctx, s, from, all, half)
}

func read(ctx context.Context, from *edgegallery.Source) (*edgegallery.Contents, error) {
	if from.Temp == from.Options.DataDir { // elsewhere others may be making copies
		if err := edgegallery.RemoveLeft(from.Temp); err != nil {
			return nil, err
		}
	}
	return from.Read(ctx)
}

// write writes what was read at from into the store. over says that what an import has written
// before is erased; the mark says first that it is not at its end any more.
func write(ctx context.Context, s *store.Store, from *edgegallery.Source, all *edgegallery.Contents, over bool) error {
	mark := store.Import{From: all.Report.Source, Begun: from.Now.UnixNano()}
	if over {
		if err := s.MarkImport(ctx, mark); err != nil {
			return err
		}
		if failpoint.On {
			_ = failpoint.Hit("import.over")
		}
		if err := s.DropImport(ctx); err != nil {
			return fmt.Errorf("cannot erase what an import has left: %w", err)
		}
	}
	if err := s.MarkImport(ctx, mark); err != nil {
		return err
	}
	if failpoint.On {
		_ = failpoint.Hit("import.begun")
	}
	if err := all.Write(ctx, s); err != nil {
		return err
	}
	if failpoint.On {
		_ = failpoint.Hit("import.written")
	}
	holds, err := s.Holds(ctx)
	if err != nil {
		return err
	}
	mark.Ended, mark.Services, mark.Holds = time.Now().UnixNano(), all.Report.Services(), holds
	return s.MarkImport(ctx, mark)
}
