// Package external runs mepserver replicas over an etcd server beside them. It knows
// the binary, the wire and etcd; it must not know anything of the program's inside.
package external

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

const (
	base  = "/mec_service_mgmt/v1"
	alive = `{"state":"ACTIVE"}`
	body  = `{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON","livenessInterval":1,"transportInfo":{"id":"t","name":"n","type":"REST_HTTP",
		"protocol":"HTTP","version":"2","endpoint":{"uris":["http://10.0.0.1"]},"security":{}}}`
)

// free finds a loopback address that nobody uses now.
func free(t *testing.T) url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return url.URL{Scheme: "http", Host: l.Addr().String()}
}

// etcd starts a one-member etcd with sockets, as an operator has it.
func etcd(t *testing.T) string {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel = t.TempDir(), "fatal"
	client, peer := free(t), free(t)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	e, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(time.Minute):
		t.Fatal("etcd was not ready in a minute")
	}
	return client.String()
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "mepserver")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/mec-liveness/mepserver/cmd/mepserver").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

type replica struct {
	t   *testing.T
	url string
	cmd *exec.Cmd
}

func start(t *testing.T, binary, endpoint string) *replica {
	t.Helper()
	cmd := exec.Command(binary, "--listen", "127.0.0.1:0", "--etcd-endpoints", endpoint)
	cmd.Env = append(os.Environ(), "MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_ALLOWED_MISSES=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return &replica{t, regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(line), cmd}
}

func (r *replica) do(method, path, body string) (int, []byte) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	require.NoError(r.t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(r.t, err)
	return res.StatusCode, b
}

func (r *replica) state(id string) string {
	status, b := r.do("GET", base+"/services/"+id, "")
	if status != http.StatusOK {
		return fmt.Sprint(status)
	}
	var m struct{ State string }
	require.NoError(r.t, json.Unmarshal(b, &m))
	return m.State
}

func (r *replica) discovered() bool {
	status, b := r.do("GET", base+"/services", "")
	require.Equal(r.t, http.StatusOK, status)
	return strings.TrimSpace(string(b)) != "[]"
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	require.Eventually(t, f, time.Minute, 50*time.Millisecond, what)
}

// Two replicas over one etcd: a heartbeat may reach either, a death is found once,
// and what one acknowledged the other knows.
func TestTwoReplicasShareOneRegistry(t *testing.T) {
	endpoint, binary := etcd(t), build(t)
	a, b := start(t, binary, endpoint), start(t, binary, endpoint)
	status, answer := a.do("POST", base+"/applications/app/services", body)
	require.Equal(t, http.StatusCreated, status, "%s", answer)
	var m struct{ SerInstanceID string }
	require.NoError(t, json.Unmarshal(answer, &m))
	id, beat := m.SerInstanceID, base+"/applications/app/services/"+m.SerInstanceID+"/liveness"
	require.Equal(t, "ACTIVE", b.state(id), "a 404 is confirmed by the store, so there is none")

	for i := range 8 { // 4 s, alternating: twice the window
		time.Sleep(500 * time.Millisecond)
		status, answer := []*replica{a, b}[i%2].do("PATCH", beat, alive)
		require.Equal(t, http.StatusNoContent, status, "%s", answer)
	}
	require.Equal(t, "ACTIVE", a.state(id))
	for _, r := range []*replica{a, b} {
		eventually(t, "hidden everywhere", func() bool { return !r.discovered() })
		eventually(t, "suspended everywhere", func() bool { return r.state(id) == "SUSPENDED" })
	}
	require.Equal(t, 2, events(t, endpoint, id), "ADDED and one STATE_CHANGED")

	status, _ = b.do("PATCH", beat, alive)
	require.Equal(t, http.StatusNoContent, status)
	require.Equal(t, "ACTIVE", b.state(id))
	eventually(t, "back at the other", func() bool { return a.state(id) == "ACTIVE" && a.discovered() })
	require.Equal(t, 3, events(t, endpoint, id))

	status, _ = a.do("DELETE", base+"/applications/app/services/"+id, "")
	require.Equal(t, http.StatusNoContent, status)
	eventually(t, "gone at the other", func() bool { return b.state(id) == "404" })
	status, _ = b.do("PATCH", beat, alive)
	require.Equal(t, http.StatusNotFound, status, "a heartbeat never resurrects")
}

func events(t *testing.T, endpoint, id string) int {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second})
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	got, err := c.Get(t.Context(), "/mep/obx/"+id, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	return int(got.Count)
}

func TestAClusterThatCannotBeReachedIsOneClearLine(t *testing.T) {
	where := free(t)
	cmd := exec.Command(build(t), "--listen", "127.0.0.1:0", "--etcd-endpoints", where.String())
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Len(t, strings.Split(strings.TrimSpace(string(out)), "\n"), 1, "%s", out)
	require.Contains(t, string(out), "cannot reach the etcd cluster")
}
