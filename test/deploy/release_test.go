package deploy

import (
	"archive/tar"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
)

const (
	releaseVersion = "v0.0.0-test"
	releaseTime    = "1700000000" // 2023-11-14T22:13:20Z
)

// release is a folder with what build/release.sh has made.
type release string

// newRelease builds one from a copy of the sources in a folder of its own, under a umask and
// in an environment.
func newRelease(t *testing.T, umask string, env ...string) release {
	t.Helper()
	tier.Long(t, "test/deploy", "links the programs for two architectures")
	sources, out := filepath.Join(t.TempDir(), "sources"), filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.CopyFS(sources, os.DirFS("../..")))
	require.NoError(t, os.RemoveAll(filepath.Join(sources, ".git"))) // a file, if it is a worktree
	code, p := proc.Command{Program: "bash", Args: []string{"-c", "umask $1; shift; exec \"$@\"", "sh", umask, "bash", sources + "/build/release.sh", releaseVersion, out},
		Env: append(env, "SOURCE_DATE_EPOCH="+releaseTime)}.Run(t, 10*time.Minute)
	require.Zero(t, code, "%s", p.Both)
	return release(out)
}

// unpacked is an archive of the release, unpacked.
func (r release) unpacked(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	code, p := proc.Command{Program: "tar", Args: []string{"-xf", filepath.Join(string(r), name), "-C", dir}}.Run(t, time.Minute)
	require.Zero(t, code, "%s", p.Both)
	return dir
}

func (r release) image(t *testing.T, name string) ociLayout {
	t.Helper()
	return ociLayout(r.unpacked(t, name+"-"+releaseVersion+".oci.tar"))
}

func (r release) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(string(r), name))
	require.NoError(t, err)
	return b
}

func TestARelease(t *testing.T) {
	r := newRelease(t, "022")
	t.Run("is the same from other folders at other times", r.isReproducible)
	t.Run("has an index of two architectures for each image", r.hasBothArchitectures)
	t.Run("has the images that the Dockerfile says", r.isAsTheDockerfileSays)
	t.Run("has an image that starts as 166:166 in EdgeGallery's place", r.startsInEdgeGallerysPlace)
	t.Run("has a bill of materials of each program", r.saysWhatIsInIt)
	t.Run("has the chart with its own images", r.hasTheChart)
}

func (r release) isReproducible(t *testing.T) {
	again := newRelease(t, "077", "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8", "GOARCH=arm64", "GOFLAGS=-tags=other", "TMPDIR="+t.TempDir())
	require.Equal(t, string(r.read(t, "SHA256SUMS")), string(again.read(t, "SHA256SUMS")))
	code, p := proc.Command{Program: "sha256sum", Args: []string{"--check", "--strict", "SHA256SUMS"}, Dir: string(again)}.Run(t, time.Minute)
	require.Zero(t, code, "%s", p.Both)
	files, err := os.ReadDir(string(r))
	require.NoError(t, err)
	require.Len(t, files, strings.Count(string(r.read(t, "SHA256SUMS")), "\n")+1, "each file has its sum")
}

func (r release) hasBothArchitectures(t *testing.T) {
	for _, name := range []string{"mepserver", "mepserver-edgegallery", "mep-agent"} {
		l := r.image(t, name)
		top, all := l.index(t)
		require.Equal(t, releaseVersion, top.Annotations["org.opencontainers.image.ref.name"], "skopeo's name of it")
		require.Equal(t, "docker.io/library/"+name+":"+releaseVersion, top.Annotations["io.containerd.image.name"])
		require.Equal(t, indexType, all.MediaType)
		require.Equal(t, releaseVersion, all.Annotations["org.opencontainers.image.version"])
		var platforms []string
		for _, d := range all.Manifests {
			c, files := l.image(t, d)
			platforms = append(platforms, d.Platform.OS+"/"+d.Platform.Architecture+"/"+d.Platform.Variant)
			require.Equal(t, []string{d.Platform.OS, d.Platform.Architecture}, []string{c.OS, c.Architecture})
			require.Equal(t, "2023-11-14T22:13:20Z", c.Created)
			require.Equal(t, releaseVersion, c.Config.Labels["org.opencontainers.image.version"])
			for path, h := range files {
				require.Equal(t, releaseTime, strconv.FormatInt(h.ModTime.Unix(), 10), path)
				require.Contains(t, []byte{tar.TypeReg, tar.TypeDir}, h.Typeflag, path)
			}
		}
		require.Equal(t, []string{"linux/amd64/", "linux/arm64/v8"}, platforms)
	}
}

// saysWhatIsInIt wants the modules of go.mod that the server cannot do without, and of the
// agent nothing of the server.
func (r release) saysWhatIsInIt(t *testing.T) {
	for program, want := range map[string]bool{"mepserver": true, "mep-agent": false} {
		for _, arch := range []string{"amd64", "arm64"} {
			var bill struct {
				BOMFormat string
				Metadata  struct {
					Timestamp string
					Component struct{ Version string }
				}
				Components []struct{ Name, Version string }
			}
			require.NoError(t, json.Unmarshal(r.read(t, program+"-"+releaseVersion+"-linux-"+arch+".cdx.json"), &bill))
			require.Equal(t, "CycloneDX", bill.BOMFormat)
			require.Equal(t, releaseVersion, bill.Metadata.Component.Version)
			require.Empty(t, bill.Metadata.Timestamp, "it would be another one each time")
			has := map[string]string{}
			for _, c := range bill.Components {
				has[c.Name] = c.Version
			}
			require.Contains(t, has, "std", "the standard library's release is what most advisories are about")
			_, server := has["go.etcd.io/etcd/server/v3"]
			require.Equal(t, want, server, program)
		}
	}
}

func (r release) hasTheChart(t *testing.T) {
	archive := filepath.Join(string(r), "mepserver-chart-"+releaseVersion+".tgz")
	code, out, errs := helm(t, "show", "chart", archive)
	require.Zero(t, code, "%s", errs)
	require.Contains(t, out, "\nversion: "+strings.TrimPrefix(releaseVersion, "v")+"\n")
	code, out, errs = helm(t, "template", "mepserver", archive)
	require.Zero(t, code, "%s", errs)
	require.Contains(t, out, "image: \"mepserver:"+releaseVersion+"\"\n")
	require.Contains(t, string(r.read(t, "values-edgegallery-"+releaseVersion+".yaml")), "\n    tag: "+releaseVersion+"\n")
}

// The programs of an image are the same whoever builds it.
func TestAReleaseIsBuiltAsTheDockerfileBuilds(t *testing.T) {
	built := regexp.MustCompile(`(?m)go build (-.* -ldflags ".*") -o \S+ (\./cmd/.*\S)$`)
	docker, script := built.FindStringSubmatch(string(read(t, "../../build/Dockerfile"))), built.FindStringSubmatch(string(read(t, "../../build/release.sh")))
	require.Len(t, docker, 3)
	require.Len(t, script, 3)
	require.Equal(t, strings.ReplaceAll(docker[1], "${VERSION}", "$version"), script[1])
	require.Equal(t, strings.TrimSuffix(docker[2], " \\"), script[2])
}

func TestAReleaseWantsAVersion(t *testing.T) {
	for _, args := range [][]string{nil, {"1.2.3"}, {"v1.2"}, {"v01.2.3"}, {"v1.2.3; true"}, {"v1.2.3-" + strings.Repeat("../", 9) + "tmp/x"}} {
		code, p := proc.Command{Program: "bash", Args: slices.Concat([]string{"../../build/release.sh"}, args)}.Run(t, time.Minute)
		require.Equal(t, 2, code, "%v: %s", args, p.Both)
		require.Contains(t, p.Stderr.String(), "usage: ")
	}
	code, p := proc.Command{Program: "bash", Args: []string{"../../build/release.sh", releaseVersion, t.TempDir()}}.Run(t, time.Minute)
	require.Equal(t, 1, code)
	require.Contains(t, p.Stderr.String(), " is there already")
}
