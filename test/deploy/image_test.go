package deploy

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
)

// dockerStages are the last stages of the Dockerfile, by the name of the image.
func dockerStages(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("../../build/Dockerfile")
	require.NoError(t, err)
	stages := map[string]string{}
	for _, s := range strings.Split(string(b), "\nFROM ")[2:] {
		name := "mepserver"
		if m := regexp.MustCompile(`^\S+ AS (\S+)`).FindStringSubmatch(s); m != nil {
			name = map[string]string{"edgegallery": "mepserver-edgegallery", "mep-agent": "mep-agent"}[m[1]]
		}
		stages[name] = s
	}
	return stages
}

// said is what the one line of an instruction says, or "".
func said(stage, instruction string) string {
	m := regexp.MustCompile(`(?m)^` + instruction + ` (.*)$`).FindStringSubmatch(stage)
	if m == nil {
		return ""
	}
	return m[1]
}

func (r release) isAsTheDockerfileSays(t *testing.T) {
	stages := dockerStages(t)
	require.Len(t, stages, 3)
	for name, stage := range stages {
		l := r.image(t, name)
		_, all := l.index(t)
		for _, d := range all.Manifests {
			c, files := l.image(t, d)
			require.Equal(t, said(stage, "USER"), c.Config.User)
			require.Equal(t, said(stage, "WORKDIR"), c.Config.WorkingDir)
			require.Equal(t, said(stage, "ENTRYPOINT"), listed(c.Config.Entrypoint...))
			require.Empty(t, c.Config.Cmd)
			require.Equal(t, said(stage, "VOLUME"), listed(named(c.Config.Volumes)...))
			require.Equal(t, said(stage, "EXPOSE"), strings.TrimSuffix(strings.Join(named(c.Config.ExposedPorts), ""), "/tcp"))
			want := map[string]string{}
			for _, m := range regexp.MustCompile(`(?m)^COPY --from=build (?:--chown=(\S+) )?(.*) (\S+)$`).FindAllStringSubmatch(stage, -1) {
				for from := range strings.FieldsSeq(m[2]) {
					at, owner := m[3], m[1]
					if strings.HasSuffix(at, "/") {
						at = path.Join(at, path.Base(from))
					}
					want[at] = owner
				}
			}
			for at, owner := range want {
				h, is := files[at]
				require.True(t, is, "%s has no %s", name, at)
				if owner == "" {
					owner = "0:0"
				}
				require.Equal(t, owner, fmt.Sprintf("%d:%d", h.Uid, h.Gid), at)
			}
			holdsNothingElse(t, files, want)
			isStatic(t, l, d, c.Config.Entrypoint[0])
		}
	}
}

func named(set map[string]any) (names []string) {
	for n := range set {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func listed(texts ...string) string {
	if len(texts) == 0 {
		return ""
	}
	return `["` + strings.Join(texts, `", "`) + `"]`
}

// holdsNothingElse wants no program but those that are copied, which excludes a shell, and
// nothing that a program could write over.
func holdsNothingElse(t *testing.T, files map[string]*tar.Header, copied map[string]string) {
	t.Helper()
	for at, h := range files {
		_, is := copied[at]
		require.Equal(t, is && h.Typeflag == tar.TypeReg, h.Typeflag == tar.TypeReg && h.Mode&0o111 != 0, "%s is a program", at)
		require.Zero(t, h.Mode&0o6000, at)
		if at != "/tmp" {
			require.Zero(t, h.Mode&0o022, at)
		}
		if up := path.Dir(at); up != "/" {
			require.Contains(t, files, up, "the folder of "+at)
		}
	}
}

// isStatic wants a program for the architecture that needs no loader and no library, and the
// certificates that it verifies the rest of the world with.
func isStatic(t *testing.T, l ociLayout, d descriptor, program string) {
	t.Helper()
	root := t.TempDir()
	l.extract(t, d, root)
	f, err := elf.Open(filepath.Join(root, program))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	require.Equal(t, map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[d.Platform.Architecture], f.Machine)
	for _, p := range f.Progs {
		require.NotEqual(t, elf.PT_INTERP, p.Type)
	}
	authorities, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
	require.NoError(t, err)
	require.True(t, x509.NewCertPool().AppendCertsFromPEM(authorities))
	require.Greater(t, bytes.Count(authorities, []byte("BEGIN CERTIFICATE")), 50)
}

func TestAnImageIsNotWrittenFromWhatIsNotUnderstood(t *testing.T) {
	tier.Long(t, "test/deploy", "builds the writer of images")
	writer := built.Module(t, "build/image", ".")
	const stage = "FROM golang:1 AS build\nRUN anything\nFROM gcr.io/distroless/static-debian12:nonroot AS it\n"
	bin := t.TempDir()
	for _, arch := range []string{"linux-amd64", "linux-arm64"} {
		require.NoError(t, os.MkdirAll(filepath.Join(bin, arch, "data"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(bin, arch, "program"), []byte(arch), 0o700))
	}
	write := func(text string) (code int, said string) {
		file := filepath.Join(t.TempDir(), "Dockerfile")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		code, p := proc.Command{Program: writer, Args: []string{"-dockerfile", file, "-stage", "it", "-bin", bin, "-out", filepath.Join(t.TempDir(), "out"),
			"-name", "it", "-version", "v1.0.0"}}.Run(t, time.Minute)
		return code, p.Both.String()
	}
	code, out := write(stage + "COPY --from=build /out/program /usr/local/bin/\nUSER 166:166\n")
	require.Zero(t, code, out)
	for text, why := range map[string]string{
		"RUN useradd it\n":                            "it is not known here",
		"HEALTHCHECK NONE\n":                          "it is not known here",
		"USER root\n":                                 "a user that is not root",
		"USER 0:0\n":                                  "a user that is not root",
		"COPY --from=other /out/program /\n":          "--from=other is not known here",
		"COPY --from=build /etc/passwd /etc/\n":       "only what lies in /out can be copied",
		"COPY --from=build /out/../etc/passwd /etc\n": "only what lies in /out can be copied",
		"COPY --from=build /out/nothing /\n":          "no such file",
		"COPY --from=build --chown=me /out/data /d\n": "--chown",
		"ENTRYPOINT /bin/sh -c it\n":                  "invalid character",
		"FROM scratch\n":                              "only gcr.io/distroless/static-debian12:nonroot is known",
	} {
		code, out := write(stage + text)
		require.Equal(t, 1, code, text)
		require.Contains(t, out, why)
	}
}
