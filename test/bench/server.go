package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const base = "/mec_service_mgmt/v1"

// server is a child process that serves on loopback.
type server struct {
	url  string
	http *http.Client
	pid  int
}

// cpu is the processor time that the server has used; 0 where the system does not say.
func (s *server) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // ticks of 1/100 s
}

var urlInLine = regexp.MustCompile(`http://\S+:\d+`)

// start runs mepserver on a free loopback port, with a data directory of its own.
func start(ctx context.Context, env ...string) (*server, func(), error) {
	return startOn(ctx, "", env...)
}

// startOn is start over the etcd cluster at these endpoints, if any are given.
func startOn(ctx context.Context, endpoints string, env ...string) (*server, func(), error) {
	binary, clean, err := built(ctx)
	if err != nil {
		return nil, nil, err
	}
	args := []string{"--listen", "127.0.0.1:0", "--data-dir", binary + ".data"}
	if endpoints != "" {
		args = []string{"--listen", "127.0.0.1:0", "--etcd-endpoints", endpoints}
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), env...)
	s, kill, err := launch(cmd)
	if err != nil {
		clean()
		return nil, nil, err
	}
	return s, func() { kill(); clean() }, nil
}

// launch starts a server and reads its address off its first line.
func launch(cmd *exec.Cmd) (*server, func(), error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	url := urlInLine.FindString(line)
	if err != nil || url == "" {
		stop()
		return nil, nil, fmt.Errorf("%s did not start", cmd.Path)
	}
	fmt.Print(line)
	return &server{pid: cmd.Process.Pid, url: url, http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}, stop, nil
}

func (s *server) do(ctx context.Context, method, path, body string) (int, []byte, error) {
	return s.with(ctx, method, path, body)
}

// with is do with headers, in pairs.
func (s *server) with(ctx context.Context, method, path, body string, header ...string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, b, err
}

// register returns id and liveness path.
func (s *server) register(ctx context.Context, app, name string, interval int) (id, liveness string, err error) {
	body := fmt.Sprintf(`{"serName":%q,"version":"1.0.0","state":"ACTIVE","serializer":"JSON","livenessInterval":%d,"transportInfo":{"id":"t","name":"REST",
		"type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"uris":["http://10.0.0.5:8080"]},"security":{}}}`, name, interval)
	status, b, err := s.do(ctx, "POST", base+"/applications/"+app+"/services", body)
	if err != nil || status != http.StatusCreated {
		return "", "", fmt.Errorf("register: %d %s %w", status, b, err)
	}
	var m struct {
		ID    string `json:"serInstanceId"`
		Links struct {
			Liveness struct{ Href string }
		} `json:"_links"`
	}
	err = json.Unmarshal(b, &m)
	return m.ID, m.Links.Liveness.Href, err
}

// spread prints a distribution.
func spread(what string, d []time.Duration) {
	if len(d) == 0 {
		return
	}
	slices.Sort(d)
	at := func(p float64) time.Duration {
		return d[min(int(p*float64(len(d))), len(d)-1)].Round(10 * time.Microsecond)
	}
	fmt.Printf("%-40s n=%d min=%v p50=%v p90=%v p99=%v max=%v\n", what, len(d), at(0), at(.5), at(.9), at(.99), at(1))
}
