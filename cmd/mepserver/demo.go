package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/demo"
	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/conf"
)

// runDemo has the demo run, with a platform of this program.
func runDemo(ctx context.Context, p environment, _ conf.Config, g given) error {
	o := demo.Options{Program: p.called(), Listen: cmp.Or(g.last("listen"), p.variable("MEP_SERVER_LISTEN")), DataDir: g.last("data-dir"), Out: p.out}
	if host, _, err := net.SplitHostPort(o.Listen); err == nil && !remote.OnLoopback(host) {
		return fmt.Errorf("--listen (or MEP_SERVER_LISTEN) must be on loopback, such as 127.0.0.1:30100, not %+q: the demo asks nobody who he is", o.Listen)
	}
	if text := g.last("for"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return fmt.Errorf("--for must be a duration such as 65s or 10m, not %+q", text)
		}
		o.For = d
	}
	o.Serve = func(ctx context.Context, at demo.Platform) error {
		c, err := conf.Load(conf.Sources{File: "the demo", Data: at.Settings, Flags: map[string]string{"listen": at.Listen, "data-dir": at.DataDir}})
		if err != nil {
			return err
		}
		return p.serve(ctx, c, "ERROR", at.Up)
	}
	return demo.Run(ctx, o)
}

// variable is the value of a variable of the environment; "": it is not set.
func (p environment) variable(name string) string {
	for _, line := range p.environ {
		if value, is := strings.CutPrefix(line, name+"="); is {
			return value
		}
	}
	return ""
}
