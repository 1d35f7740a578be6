package deploy

import (
	"crypto"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/youmark/pkcs8"

	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

// contained starts the program of a root file system as a container that may do nothing
// does: in a network of its own, everything read-only but the two volumes, without a
// capability, as 166:166. It becomes the process that the test has started, so that signals
// reach it.
const contained = `set -e
root=$1 mounts=$2
mount --bind "$root" "$root"
for at in data log ssl_tmp conf/mep; do mount --bind "$mounts/$at" "$root/usr/mep/$at"; done
mount --bind /proc "$root/proc"
for at in . usr/mep/ssl_tmp usr/mep/conf/mep; do mount -o remount,bind,ro "$root/$at"; done
ip link set lo up
shift 2
exec env -i PATH="$PATH" "$@" setpriv --bounding-set=-all,+setuid,+setgid,+sys_chroot --no-new-privs chroot --userspec=166:166 --groups= "$root" /usr/local/bin/mepserver`

const keyPassword = "te9Fmv%qaq"

// edgeGallerysChart is the environment that EdgeGallery's chart gives its mepserver.
func edgeGallerysChart() []string {
	return []string{"MEPSERVER_APIGW_HOST=localhost", "MEPSERVER_APIGW_PORT=8444", "HTTP_PROTOCOL=https", "MEPSERVER_CERT_DOMAIN_NAME=edgegallery",
		"SSL_ENABLED=true", "SSL_ROOT=/usr/mep/ssl", "ROOT_KEY=" + strings.Repeat("k", 256), "TLS_KEY=" + keyPassword,
		"MEPAUTH_PORT_10443_TCP_ADDR=127.0.0.1", "MEPAUTH_SERVICE_PORT=10443", "MEP_MM5_SERVICE_HOST=10.96.0.9", "MEP_MM5_PORT=tcp://10.96.0.9:80"}
}

// mounts makes what the chart mounts: the two Secrets, and volumes of 166 that hold nothing.
func mounts(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, volume := range []string{"data", "log"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, volume), 0o700))
		require.NoError(t, os.Chown(filepath.Join(dir, volume), 166, 166))
	}
	ca := pki.New(t)
	pair := ca.Legacy("edgegallery")
	key, err := pkcs8.MarshalPrivateKey(pair.TLS.PrivateKey, []byte(keyPassword), &pkcs8.Opts{Cipher: pkcs8.AES256CBC,
		KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 16, IterationCount: 2048, HMACHash: crypto.SHA256}})
	require.NoError(t, err)
	for name, content := range map[string][]byte{
		"ssl_tmp/server.cer":     read(t, pair.CertFile),
		"ssl_tmp/server_key.pem": pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: key}),
		"ssl_tmp/trust.cer":      read(t, ca.File),
		"conf/mep/config.yaml": []byte("dnsAgent:\n  type: all\n  endPoint:\n    address:\n      host: localhost\n      port: 8080\n" +
			"dataplane:\n  type: none\n"),
	} {
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		require.NoError(t, os.WriteFile(at, content, 0o644))
	}
	return dir
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return b
}

func (r release) startsInEdgeGallerysPlace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may mount and change its user; run it as root, for example in a container of its own")
	}
	for _, tool := range []string{"unshare", "mount", "ip", "setpriv", "chroot", "nsenter", "curl"} {
		proc.Find(t, tool)
	}
	if code, p := (proc.Command{Program: "unshare", Args: []string{"--mount", "--net", "true"}}).Run(t, time.Minute); code != 0 {
		t.Skipf("no mounts and no network of one's own here: %s", p.Both)
	}
	l := r.image(t, "mepserver-edgegallery")
	_, all := l.index(t)
	root, dir := t.TempDir(), mounts(t)
	l.extract(t, all.Manifests[runnable(t, all)], root)
	for _, at := range []string{"proc", "usr/mep/ssl_tmp", "usr/mep/conf/mep"} { // the container runtime makes these
		require.NoError(t, os.MkdirAll(filepath.Join(root, at), 0o755))
	}
	s := proc.Command{Program: "unshare", Args: append([]string{"--mount", "--net", "--propagation", "private", "sh", "-c", contained, "sh", root, dir}, edgeGallerysChart()...)}.Start(t)
	inside := func(args ...string) string {
		_, p := proc.Command{Program: "nsenter", Args: append([]string{"--net", "--target", strconv.Itoa(s.PID())}, args...)}.Run(t, time.Minute)
		return p.Stdout.String()
	}
	wait.Within(t, time.Minute, "it is ready", func() bool {
		require.False(t, s.Ended(), "%s", s.Both)
		return inside("curl", "-sk", "-o", os.DevNull, "-w", "%{http_code}", "https://127.0.0.1:8088/ready") == "200"
	})
	require.Equal(t, "200", inside("curl", "-sk", "-o", os.DevNull, "-w", "%{http_code}", "https://127.0.0.1:8088/health"), "what the probes ask")
	status := string(read(t, "/proc/"+strconv.Itoa(s.PID())+"/status"))
	require.Contains(t, status, "\nUid:\t166\t166\t166\t166\n")
	require.Contains(t, status, "\nGid:\t166\t166\t166\t166\n")
	require.Contains(t, status, "\nCapEff:\t0000000000000000\n")
	require.Contains(t, s.Both.String(), "this is EdgeGallery's environment")
	require.NotContains(t, s.Both.String(), keyPassword)
	require.Zero(t, s.Terminate(), "%s", s.Both)
	below, err := os.ReadDir(filepath.Join(dir, "data"))
	require.NoError(t, err)
	require.Len(t, below, 1, "what it keeps lies in one folder of the volume")
	require.Equal(t, "mepserver", below[0].Name())
	logs, err := os.ReadDir(filepath.Join(dir, "log"))
	require.NoError(t, err)
	require.Empty(t, logs, "logs go to standard error")
	t.Log(s.Stdout.String())
}

// runnable is the place of this machine's architecture in an index.
func runnable(t *testing.T, all index) int {
	t.Helper()
	for i, d := range all.Manifests {
		if d.Platform.Architecture == runtime.GOARCH {
			return i
		}
	}
	t.Skip("there is no image for", runtime.GOARCH)
	return 0
}
