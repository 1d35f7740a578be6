package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// options are what the Dockerfile does not say.
type options struct {
	bin, out, name    string
	version, revision string
	created           time.Time
}

// entry is a file or folder of a layer.
type entry struct {
	name     string // absolute
	mode     int64
	folder   bool
	uid, gid int
	content  []byte
}

// platforms are those of every image, in the order of the index.
func platforms() []v1.Platform {
	return []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64", Variant: "v8"}}
}

// write makes the layout of one image for all platforms.
func write(s stage, o options) error {
	if o.name == "" || o.version == "" || o.bin == "" || o.out == "" {
		return fmt.Errorf("-bin, -out, -name and -version are wanted")
	}
	if err := os.Mkdir(o.out, 0o755); err != nil {
		return err
	}
	all := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms() {
		one, err := s.image(p, o)
		if err != nil {
			return err
		}
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{Platform: &p}})
	}
	all = mutate.Annotations(all, o.annotations()).(v1.ImageIndex)
	l, err := layout.Write(o.out, empty.Index)
	if err != nil {
		return err
	}
	// The first is what skopeo and podman call the image, the second what containerd does.
	return l.AppendIndex(all, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": o.version,
		"io.containerd.image.name": "docker.io/library/" + o.name + ":" + o.version}))
}

func (o options) annotations() map[string]string {
	return map[string]string{"org.opencontainers.image.title": o.name, "org.opencontainers.image.version": o.version,
		"org.opencontainers.image.revision": o.revision, "org.opencontainers.image.created": o.created.Format(time.RFC3339)}
}

// image is the stage for one platform: a layer for the base, one for what is copied.
func (s stage) image(p v1.Platform, o options) (v1.Image, error) {
	copied, err := s.copied(filepath.Join(o.bin, p.OS+"-"+p.Architecture))
	if err != nil {
		return nil, err
	}
	config := s.config
	config.Labels = o.annotations()
	image, err := mutate.ConfigFile(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		&v1.ConfigFile{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, Created: v1.Time{Time: o.created}, Config: config, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		return nil, err
	}
	for by, entries := range [][]entry{baseFiles(), withParents(copied, config.WorkingDir)} {
		layer, err := archive(entries, o.created)
		if err != nil {
			return nil, err
		}
		what := []string{"the base image", "build/Dockerfile"}[by]
		image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: o.created}, CreatedBy: what}})
		if err != nil {
			return nil, err
		}
	}
	return mutate.Annotations(image, o.annotations()).(v1.Image), nil
}

// copied reads what the stage copies, from the folder of one architecture.
func (s stage) copied(bin string) (all []entry, err error) {
	for _, c := range s.copies {
		source := filepath.Join(bin, filepath.FromSlash(c.from))
		info, err := os.Stat(source)
		if err != nil {
			return nil, err
		}
		e := entry{name: c.to, uid: c.uid, gid: c.gid, mode: int64(info.Mode().Perm()), folder: info.IsDir()}
		if !e.folder {
			if strings.HasSuffix(c.to, "/") {
				e.name = path.Join(c.to, path.Base(c.from))
			}
			if e.content, err = os.ReadFile(source); err != nil {
				return nil, err
			}
		} else if below, err := os.ReadDir(source); err != nil || len(below) > 0 {
			return nil, fmt.Errorf("%s is not an empty folder: %w", source, err)
		}
		all = append(all, e)
	}
	return all, nil
}

// withParents adds the folders that are missing, and the working folder, as root's.
func withParents(all []entry, workdir string) []entry {
	have := map[string]bool{}
	for _, e := range slices.Concat(baseFiles(), all) {
		have[e.name] = true
	}
	wanted := []string{workdir}
	for _, e := range all {
		wanted = append(wanted, path.Dir(e.name))
	}
	for _, w := range wanted {
		for ; w != "/" && !have[w]; w = path.Dir(w) {
			have[w] = true
			all = append(all, folder(w, 0o755, 0))
		}
	}
	return all
}

// archive makes a layer whose bytes depend on nothing but the entries and the time.
func archive(entries []entry, at time.Time) (v1.Layer, error) {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(e.name, "/"), Mode: e.mode, Uid: e.uid, Gid: e.gid,
			Size: int64(len(e.content)), ModTime: at, Format: tar.FormatPAX}
		if e.folder {
			h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
}
