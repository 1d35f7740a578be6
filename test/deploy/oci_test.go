package deploy

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the test reads of the OCI image specification; it does not share the code that wrote it.
const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

type (
	descriptor struct {
		MediaType   string
		Digest      string
		Size        int64
		Platform    struct{ OS, Architecture, Variant string }
		Annotations map[string]string
	}
	index struct {
		MediaType   string
		Manifests   []descriptor
		Annotations map[string]string
	}
	manifest struct {
		MediaType string
		Config    descriptor
		Layers    []descriptor
	}
	imageConfig struct {
		OS, Architecture, Created string
		Config                    struct {
			User, WorkingDir string
			Entrypoint, Cmd  []string
			Env              []string
			ExposedPorts     map[string]any
			Volumes          map[string]any
			Labels           map[string]string
		}
	}
)

// ociLayout is a folder with an OCI image layout.
type ociLayout string

// blob reads what a descriptor says, which must be what it says.
func (l ociLayout) blob(t *testing.T, d descriptor) []byte {
	t.Helper()
	algorithm, sum, _ := strings.Cut(d.Digest, ":")
	require.Equal(t, "sha256", algorithm)
	b, err := os.ReadFile(filepath.Join(string(l), "blobs", "sha256", sum))
	require.NoError(t, err)
	got := sha256.Sum256(b)
	require.Equal(t, sum, hex.EncodeToString(got[:]))
	require.EqualValues(t, d.Size, len(b))
	return b
}

// index is the one index that the layout is of.
func (l ociLayout) index(t *testing.T) (named descriptor, all index) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(string(l), "index.json"))
	require.NoError(t, err)
	var top index
	require.NoError(t, json.Unmarshal(b, &top))
	require.Len(t, top.Manifests, 1)
	require.Equal(t, indexType, top.Manifests[0].MediaType)
	require.NoError(t, json.Unmarshal(l.blob(t, top.Manifests[0]), &all))
	return top.Manifests[0], all
}

// image is one image of the index.
func (l ociLayout) image(t *testing.T, d descriptor) (c imageConfig, files map[string]*tar.Header) {
	t.Helper()
	require.Equal(t, manifestType, d.MediaType)
	var m manifest
	require.NoError(t, json.Unmarshal(l.blob(t, d), &m))
	require.NoError(t, json.Unmarshal(l.blob(t, m.Config), &c))
	files = map[string]*tar.Header{}
	l.eachFile(t, m, func(h *tar.Header, _ io.Reader) error {
		files["/"+strings.TrimSuffix(h.Name, "/")] = h
		return nil
	})
	return c, files
}

// extract unpacks one image of the index with its owners, below a folder.
func (l ociLayout) extract(t *testing.T, d descriptor, root string) {
	t.Helper()
	var m manifest
	require.NoError(t, json.Unmarshal(l.blob(t, d), &m))
	l.eachFile(t, m, func(h *tar.Header, content io.Reader) error {
		at, mode := filepath.Join(root, filepath.Clean("/"+h.Name)), fs.FileMode(h.Mode).Perm()
		if h.Typeflag == tar.TypeDir {
			err := os.Mkdir(at, mode)
			if errors.Is(err, fs.ErrExist) {
				err = nil
			}
			return errors.Join(err, os.Chown(at, h.Uid, h.Gid), os.Chmod(at, mode))
		}
		f, err := os.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close(), os.Chown(at, h.Uid, h.Gid), os.Chmod(at, mode))
	})
}

func (l ociLayout) eachFile(t *testing.T, m manifest, do func(*tar.Header, io.Reader) error) {
	t.Helper()
	for _, layer := range m.Layers {
		require.Equal(t, layerType, layer.MediaType)
		z, err := gzip.NewReader(strings.NewReader(string(l.blob(t, layer))))
		require.NoError(t, err)
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			require.NoError(t, do(h, r), h.Name)
		}
	}
}
