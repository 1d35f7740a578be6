package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// flooder is one identity that asks for as much as it can.
type flooder struct {
	url, name, token string
	tls              *tls.Config
	dialer           net.Dialer

	mu       sync.Mutex
	statuses map[int]int // 0: no answer
}

// floodKinds are the ways to flood. Each is one of many goroutines and runs until ctx ends.
func floodKinds() map[string]func(f *flooder, ctx context.Context) {
	again := func(method, path, body, token string) func(f *flooder, ctx context.Context) {
		return func(f *flooder, ctx context.Context) {
			client := f.client(false)
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				f.ask(ctx, client, method, path, body, token)
			}
		}
	}
	own := func(method, under, body string) func(f *flooder, ctx context.Context) {
		return func(f *flooder, ctx context.Context) { again(method, mep.ServicesOf(f.name)+under, body, "")(f, ctx) }
	}
	return map[string]func(f *flooder, ctx context.Context){
		"writes":      own("POST", "", mep.Info("x", -1)),
		"bytes":       own("POST", "", strings.Repeat(" ", 60<<10)+mep.Info("x", -1)),
		"lists":       again("GET", mp1.Base+"/services", "", ""),
		"reads":       again("GET", mp1.Base+"/transports", "", ""),
		"foreign":     again("POST", mep.ServicesOf("app0"), mep.Info("x", -1), ""),
		"bad tokens":  again("PATCH", mep.LivenessOf("app0", "x"), mep.Alive, "bad"),
		"deletions":   own("DELETE", "/x", ""),
		"handshakes":  (*flooder).handshakes,
		"connections": (*flooder).connections,
		"streams":     (*flooder).streams,
	}
}

func floodNames() []string { return slices.Sorted(maps.Keys(floodKinds())) }

// serveFlood is the child process of greedy.
func serveFlood(ctx context.Context, args []string) error {
	if len(args) != 6 || floodKinds()[args[0]] == nil {
		return errors.New("flooding wants a kind, a URL, an authority, a name, a token and a time")
	}
	text, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(args[5])
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	f := &flooder{url: args[1], name: args[3], token: args[4], tls: &tls.Config{RootCAs: pool}, statuses: map[int]int{}}
	f.dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, byte(1+rand.IntN(250)), byte(rand.IntN(250)), 2)} // its ports are no other flood's
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	fmt.Println("flooding")
	var wg sync.WaitGroup
	for range greedyConns {
		wg.Go(func() { floodKinds()[args[0]](f, ctx) })
	}
	wg.Wait()
	fmt.Println("answers by status:", f.statuses)
	return nil
}

func (f *flooder) client(h2 bool) *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: f.dialer.DialContext, MaxIdleConnsPerHost: 256, TLSClientConfig: f.tls.Clone(), ForceAttemptHTTP2: h2}}
}

func (f *flooder) ask(ctx context.Context, client *http.Client, method, path, body, token string) {
	req, err := http.NewRequestWithContext(ctx, method, f.url+path, strings.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	if token == "bad" { // with a signature that is another's
		token = f.token[:len(f.token)-20] + strings.Repeat("A", 20)
	}
	if token == "" {
		token = f.token
	}
	req.Header.Set("Authorization", "Bearer "+token)
	status := 0
	if res, err := client.Do(req); err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		status = res.StatusCode
	}
	if ctx.Err() == nil {
		f.count(status)
	}
}

func (f *flooder) count(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statuses[status]++
}

// handshakes opens connections, of which none is resumed, and closes them.
func (f *flooder) handshakes(ctx context.Context) {
	d := &tls.Dialer{NetDialer: &f.dialer, Config: f.tls.Clone()}
	for ctx.Err() == nil {
		c, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(f.url, "https://"))
		if err != nil {
			f.count(0)
			time.Sleep(time.Millisecond)
			continue
		}
		f.count(200)
		_ = c.Close()
	}
}

// connections opens connections, asks once on each, and keeps them.
func (f *flooder) connections(ctx context.Context) {
	var all []net.Conn
	d := &tls.Dialer{NetDialer: &f.dialer, Config: f.tls.Clone()}
	for ctx.Err() == nil && len(all) < 12000/greedyConns {
		c, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(f.url, "https://"))
		if err != nil {
			f.count(0)
			time.Sleep(time.Millisecond)
			continue
		}
		f.count(200)
		_, _ = fmt.Fprintf(c, "GET %s/transports HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n", mp1.Base, f.token)
		all = append(all, c)
	}
	<-ctx.Done()
	for _, c := range all {
		_ = c.Close()
	}
}

// streams has a hundred requests of HTTP/2 under way on one connection.
func (f *flooder) streams(ctx context.Context) {
	client := f.client(true)
	defer client.CloseIdleConnections()
	f.ask(ctx, client, "GET", mp1.Base+"/transports", "", "") // before it, each would open a connection
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for ctx.Err() == nil {
				f.ask(ctx, client, "GET", mp1.Base+"/services", "", "")
			}
		})
	}
	wg.Wait()
}
