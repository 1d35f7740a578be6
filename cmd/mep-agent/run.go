package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/cmd/revision"
	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/logs"
)

// runAgent runs the agent, and serves its own pages if local.listen is set, until ctx ends.
func runAgent(ctx context.Context, c conf.Agent, environ []string, out, errs io.Writer) error {
	o, err := agentOptions(c)
	if err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "mep_agent_log_lines_dropped_total",
		Help: "Lines that were dropped because nobody read the standard outputs or took them."},
		func() float64 { return droppedLines(out) + droppedLines(errs) }))
	o.Log, o.Metrics = logs.NewSlog(errs, c.Log.Level), metrics
	a, err := agent.New(o)
	if err != nil {
		return err
	}
	logWarnings(c, environ, o.Log)
	where := ""
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if c.Local.Listen != "" {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Local.Listen)
		if err != nil {
			return fmt.Errorf("cannot listen on %s: %w", c.Local.Listen, errors.Unwrap(err))
		}
		where = fmt.Sprintf("; status on http://%s/status", l.Addr())
		go func() {
			ended <- serve(ctx, l, newServer(a.Local(agent.LocalOptions{Metrics: metrics, EdgeGallery: c.Local.EdgeGallery})))
			stop() // without the pages that were asked for the agent ends, too
		}()
	} else {
		ended <- nil
	}
	fmt.Fprintf(out, "mep-agent %s keeps %d services of %s alive at %s%s\n",
		revision.Describe(version), len(c.Services), c.Application.ID, strings.Join(c.Platform.Endpoints, ", "), where)
	if err = a.Run(ctx); errors.Is(err, agent.ErrTerminated) {
		err = nil
		fmt.Fprintf(out, "%s is terminated; idle until SIGTERM\n", c.Application.ID)
		<-ctx.Done() // who would start the agent again would have the services registered again
	}
	stop()
	return errors.Join(err, <-ended)
}

// logWarnings logs what the agent works with, but hardly as it is meant.
func logWarnings(c conf.Agent, environ []string, log *slog.Logger) {
	for _, f := range c.Warnings {
		log.Warn("odd in the configuration", "where", f.Where, "setting", f.Path, "what", f.Rule)
	}
	for _, e := range plainTokenEndpoints(c) {
		log.Warn("tokens and secrets are sent without TLS", "endpoint", e)
	}
	for _, m := range conf.MisspeltAgent(environ) {
		log.Warn("an environment variable is close to a setting's and names none", "variable", m.Variable, "setting", m.Setting)
	}
}

// plainTokenEndpoints are the URLs to which tokens and secrets are sent where the network can
// read them.
func plainTokenEndpoints(c conf.Agent) (all []string) {
	if c.Identity.Kind == conf.Anonymous {
		return nil
	}
	for _, e := range append([]string{c.Identity.TokenURL}, c.Platform.Endpoints...) {
		if strings.HasPrefix(e, "http:") && !conf.OnLoopback(e) {
			all = append(all, e)
		}
	}
	return all
}

// droppedLines is how many lines an output has dropped.
func droppedLines(w io.Writer) float64 {
	if q, ok := w.(*logs.Queue); ok {
		return float64(q.Dropped())
	}
	return 0
}
