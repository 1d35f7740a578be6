// Command consumer is a go-chassis application that calls a service over and over, and says
// on a line whenever the outcome changes. It offers nothing.
//
//	consumer URL [APPID]
//
// URL names the service as go-chassis has it: http://NAME/path. APPID, if it is given, is the
// application whose service is called.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/go-chassis/go-chassis/v2"
	"github.com/go-chassis/go-chassis/v2/core"

	mec "github.com/mec-liveness/mepserver/agent/chassis"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	mec.Install(mec.Options{})
	if err := chassis.Init(); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- chassis.Run() }()
	var options []core.InvocationOption
	if len(args) > 1 {
		options = append(options, core.WithRouteTags(map[string]string{"app": args[1], "version": "latest"}))
	}
	for last := ""; ; {
		if now := call(args[0], options); now != last {
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
func call(target string, options []core.InvocationOption) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "error " + err.Error()
	}
	res, err := core.NewRestInvoker().ContextDo(ctx, req, options...)
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
