package soak

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/proc"
)

const base = "/mec_service_mgmt/v1"

// server is the platform, always at the same address.
type server struct {
	t       *testing.T
	binary  string
	dir     string
	address string
	cmd     *exec.Cmd
	http    *http.Client
}

func newServer(t *testing.T) *server {
	dir := t.TempDir()
	binary, err := built.Command(dir, "mepserver")
	require.NoError(t, err)
	s := &server{t: t, dir: dir, binary: binary, address: proc.Free(t), http: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 600}}}
	s.launch()
	return s
}

func (s *server) launch() {
	built.Depend()
	s.cmd = exec.Command(s.binary, "--listen", s.address, "--data-dir", filepath.Join(s.dir, "data"))
	s.cmd.Env = append(os.Environ(), "MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_ALLOWED_MISSES=1", "MEP_LIVENESS_DEREGISTER_AFTER="+removal.String(),
		"MEP_NOTIFY_TIMEOUT=3s", "MEP_APPLICATIONS_MAX_SERVICES=100000", "MEP_LIMITS_WRITES_PER_SECOND=0")
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(s.t, err)
	defer func() { _ = log.Close() }()
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, s.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		s.t.Fatalf("mepserver did not start: %s\n%s", line, said[max(len(said)-2000, 0):])
	}
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *server) signal(sig syscall.Signal) { require.NoError(s.t, s.cmd.Process.Signal(sig)) }

// do sends a request and reads the answer into out, if that is not nil.
func (s *server) do(method, path, body string, out any) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	res, err := s.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if out != nil && res.StatusCode < 300 {
		err = json.Unmarshal(b, out)
	}
	return res.StatusCode, err
}

func (s *server) register(app, name string) (id, location, liveness string, err error) {
	var m struct {
		ID    string `json:"serInstanceId"`
		Links struct {
			Self, Liveness struct{ Href string }
		} `json:"_links"`
	}
	status, err := s.do("POST", base+"/applications/"+app+"/services", fmt.Sprintf(
		`{"serName":%q,"version":"1","state":"ACTIVE","serializer":"JSON","livenessInterval":%d,"transportId":"transportId"}`, name, interval), &m)
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("register: %d", status)
	}
	return m.ID, m.Links.Self.Href, m.Links.Liveness.Href, err
}
