package main

import (
	"context"
	"fmt"
	"time"

	"github.com/mec-liveness/mepserver/cmd/demo"
	"github.com/mec-liveness/mepserver/conf"
)

// runDemo has the demo run, with a platform of this program.
func runDemo(ctx context.Context, p environment, _ conf.Config, g given) error {
	o := demo.Options{Listen: g.last("listen"), DataDir: g.last("data-dir"), Out: p.out}
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
