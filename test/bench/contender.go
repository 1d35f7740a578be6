package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
)

// contender is a server that takes heartbeats, in a process of its own.
type contender struct {
	name   string
	url    string
	cpu    func() time.Duration
	client *http.Client
	beats  []beat
	bare   *contender // what it is compared with; nil: others are compared with it

	perSecond, ratios []float64     // heartbeats a second, and of bare's; each round
	cost              time.Duration // of the server's processor for one, in the last round
	costs             []float64     // the same, of bare's; each round
}

// beat is one heartbeat to send: its path, and the credential that goes with it or "".
type beat struct{ path, authorization string }

// launch runs a mepserver of its own until its process is killed.
func launch(ids *identities, binary, name, scheme string, env []string) (*contender, *proc.Process, error) {
	listen := proc.FindFree()
	p, err := proc.Command{Program: binary, Env: env,
		Args: []string{"--listen", listen, "--data-dir", filepath.Join(filepath.Dir(mep.Binary()), "data of "+name)}}.Launch()
	if err != nil {
		return nil, nil, err
	}
	c := &contender{name: name, url: scheme + "://" + listen, cpu: p.CPU, client: ids.client()}
	if line := p.FirstLine(time.Minute); !strings.Contains(line, c.url) {
		p.Kill()
		return nil, nil, fmt.Errorf("mepserver is not ready at %s; it printed %q and\n%s", c.url, line, p.Stderr)
	}
	return c, p, nil
}

// register registers services that beat every minute, and fills in their beats. token makes
// what an application proves itself with; nil: nothing is needed.
func (c *contender) register(ctx context.Context, services int, token func(app string) (string, error)) error {
	authorization := ""
	for i := range services {
		app := fmt.Sprint("app", i/500)
		if token != nil && i%500 == 0 {
			t, err := token(app)
			if err != nil {
				return err
			}
			authorization = "Bearer " + t
		}
		res, err := c.send(ctx, http.MethodPost, mep.ServicesOf(app), mep.Info(fmt.Sprint("s", i), 60), authorization)
		if err != nil {
			return err
		}
		var info mp1.ServiceInfo
		err = json.NewDecoder(res.Body).Decode(&info)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusCreated {
			return fmt.Errorf("a registration was answered %s (%w)", res.Status, err)
		}
		c.beats = append(c.beats, beat{info.Links.Liveness.Href, authorization})
	}
	return nil
}

func (c *contender) send(ctx context.Context, method, path, body, authorization string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return c.client.Do(req)
}

// launchBare runs the servers that answer 204 to everything, after reading the body: one
// over plain HTTP, one over TLS, in one process.
func launchBare(ids *identities) (plain, secure *contender, p *proc.Process, err error) {
	p, err = proc.Command{Program: os.Args[0], Args: []string{"bare", ids.certFile, ids.keyFile}}.Launch()
	if err != nil {
		return nil, nil, nil, err
	}
	_, addresses, ok := strings.Cut(strings.TrimSpace(p.FirstLine(time.Minute)), "bare ready on ")
	at, secureAt, both := strings.Cut(addresses, " ")
	if !ok || !both {
		p.Kill()
		return nil, nil, nil, fmt.Errorf("the bare server did not start: %s", p.Stderr)
	}
	plain = &contender{name: "bare net/http", url: "http://" + at, cpu: p.CPU, client: ids.client()}
	secure = &contender{name: "bare net/http, TLS", url: "https://" + secureAt, cpu: p.CPU, client: ids.client()}
	return plain, secure, p, nil
}

// serveBare is the child process of launchBare.
func serveBare(ctx context.Context, certFile, keyFile string) error {
	plain, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	secure, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("bare ready on", plain.Addr(), secure.Addr())
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})}
	failed := make(chan error, 2)
	go func() { failed <- srv.Serve(plain) }()
	go func() { failed <- srv.ServeTLS(secure, certFile, keyFile) }()
	return <-failed
}
