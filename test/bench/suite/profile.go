package suite

import (
	"context"
	_ "embed" // the source that is compiled into a server that is profiled
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/test/proc"
)

// profiler is compiled into cmd/mepserver for Config.Profile, and only there: the server itself
// has no profiles to ask for.
//
//go:embed profiler.go.txt
var profiler []byte

// overlay are the flags of go build that add the profiler.
func (l *lab) overlay() ([]string, error) {
	if err := os.MkdirAll(l.Profile, 0o700); err != nil {
		return nil, err
	}
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "cmd", "mepserver")); err == nil {
			break
		}
		if filepath.Dir(root) == root {
			return nil, errors.New("no folder cmd/mepserver above the working folder")
		}
		root = filepath.Dir(root)
	}
	source, file := filepath.Join(l.dir, "profiler.go"), filepath.Join(l.dir, "overlay.json")
	if err := os.WriteFile(source, profiler, 0o600); err != nil {
		return nil, err
	}
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "cmd", "mepserver", "profiler.go"): source}})
	if err != nil {
		return nil, err
	}
	return []string{"-overlay", file}, os.WriteFile(file, b, 0o600)
}

// profiled adds the setting of the profiler, and says where it is asked.
func (l *lab) profiled(name string, env []string) (_ []string, at string) {
	if l.Profile == "" {
		return env, ""
	}
	at = proc.FindFree()
	return append(env, "BENCH_PROFILER="+at, "BENCH_PROFILE="+filepath.Join(l.Profile, name+"-start.pprof")), at
}

// profile ends the profile that is under way, and begins one of that name. A server that was
// started anew has begun with its start.
func (s *site) profile(l *lab, name string) {
	if l.Profile == "" || s.main == nil || s.main.profiles == "" {
		return
	}
	path := filepath.Join(l.Profile, name+".pprof")
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.main.profiles+"/next?file="+url.QueryEscape(path), nil)
	if err != nil {
		return
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		l.say("no profile: %v", err)
		return
	}
	_ = res.Body.Close()
}

// top writes what took most, of each profile: functions by themselves, and ours with what they call.
func (l *lab) top() {
	files, _ := filepath.Glob(filepath.Join(l.Profile, "*.pprof"))
	for _, file := range files {
		var text string
		for _, how := range [][]string{{"-nodecount=25"}, {"-cum", "-show=mec-liveness|etcd", "-nodecount=40"}} {
			p, err := proc.Command{Program: "go", Args: slices.Concat([]string{"tool", "pprof", "-top"}, how, []string{file})}.Launch()
			if err != nil {
				l.say("no profile: %v", err)
				return
			}
			p.WaitWithin(time.Minute)
			text += p.Stdout.String() + "\n"
		}
		_ = os.WriteFile(strings.TrimSuffix(file, ".pprof")+".txt", []byte(text), 0o600)
	}
	l.say("%d profiles of the server are in %s", len(files), l.Profile)
}
