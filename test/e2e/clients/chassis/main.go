// Command chassis is a go-chassis application that calls a service of another appId over
// and over, and says on a line whenever the outcome changes. It must know nothing of this
// project.
//
//	chassis REGISTRY-URL LISTEN APPID URL [FILE...]
//
// URL names the service as go-chassis has it: http://NAME/path. FILEs are more of its
// configuration, such as tls.yaml and auth.yaml. It ends when its standard input does.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-chassis/go-chassis/v2"
	"github.com/go-chassis/go-chassis/v2/core"
)

const configuration = `
servicecomb:
  registry:
    address: %s
    autodiscovery: true
    refreshInterval: 1s
    watch: true
  protocols:
    rest:
      listenAddress: %s
`

const description = `
servicecomb:
  service:
    app: shop
    name: till
    version: 1.0.0
`

func main() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5:]); err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
}

func run(registry, listen, app, target string, more []string) error {
	home, err := os.MkdirTemp("", "chassis-")
	if err != nil {
		return err
	}
	conf := filepath.Join(home, "conf")
	if err := os.Mkdir(conf, 0o700); err != nil {
		return err
	}
	files := map[string]string{"chassis.yaml": fmt.Sprintf(configuration, registry, listen), "microservice.yaml": description}
	for _, file := range more {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		files[filepath.Base(file)] = string(text)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := os.Setenv("CHASSIS_HOME", home); err != nil {
		return err
	}
	if err := chassis.Init(); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- chassis.Run() }()
	for last := ""; ; {
		if now := call(app, target); now != last {
			fmt.Println(now)
			last = now
		}
		select {
		case err := <-failed:
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// call makes one call and says what became of it.
func call(app, target string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "error " + err.Error()
	}
	res, err := core.NewRestInvoker().ContextDo(ctx, req, core.WithRouteTags(map[string]string{"app": app, "version": "latest"}))
	if err != nil {
		return "error " + err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return "error " + err.Error()
	}
	return fmt.Sprintf("answer %d %s", res.StatusCode, b)
}
