// Command mepserver is a MEC platform's service registry with liveness: Apache
// ServiceComb service-center with the plugins listed here, in one process. It knows
// flags, signals, exit codes and the order of the plugins, and nothing else.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/cmd/early"
	"github.com/mec-liveness/mepserver/cmd/provision"
	"github.com/mec-liveness/mepserver/cmd/revision"
	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/admin"
	"github.com/mec-liveness/mepserver/plugins/appsupport"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/rfc2136"
	"github.com/mec-liveness/mepserver/plugins/board"
	"github.com/mec-liveness/mepserver/plugins/edgegallery"
	"github.com/mec-liveness/mepserver/plugins/identity"
	"github.com/mec-liveness/mepserver/plugins/identity/issuer"
	"github.com/mec-liveness/mepserver/plugins/liveness"
	"github.com/mec-liveness/mepserver/plugins/notify"
	"github.com/mec-liveness/mepserver/plugins/servicecenter"
	"github.com/mec-liveness/mepserver/plugins/servicemgmt"
)

// list is every part of mepserver, bottom first.
func list() []plugins.Plugin {
	return []plugins.Plugin{
		identity.Plugin(),
		servicecenter.Plugin(),
		liveness.Plugin(),
		appsupport.Plugin(),
		rules.Plugin(),
		notify.Plugin(),
		servicemgmt.Plugin(),
		edgegallery.Plugin(),
		issuer.Plugin(),
		board.Plugin(),
		admin.Plugin(), // last: it serves what all of them offer
	}
}

// fileRules are those of the files that a configuration names.
func fileRules(now time.Time) []conf.Rule {
	return []conf.Rule{plugins.TLSFiles(now), identity.KeyFiles(now), issuer.KeyFiles(now), notify.KeyFiles(now), identity.AuditFile(), rfc2136.KeyFile(now)}
}

// version is set by the linker for releases.
var version = "dev"

func main() {
	outputs := logs.TakeStandard()
	ctx := early.Context()
	p := environment{program: os.Args[0], args: os.Args[1:], environ: takeEnvironment(), out: outputs.Out, errs: outputs.Err, dropped: outputs.Dropped,
		fail: func(why string) {
			fmt.Fprintln(outputs.Err, "mepserver:", why)
			outputs.Flush()
			os.Exit(1)
		}}
	ended := make(chan int, 1)
	go func() { ended <- p.run(ctx) }()
	var code int
	select {
	case code = <-ended:
	case <-early.Overdue(ctx):
		fmt.Fprintln(outputs.Err, "mepserver: it did not stop in time and is ended as it is; nothing that was acknowledged is lost")
		code = 1
	}
	outputs.Flush()
	os.Exit(code)
}

// environment is what a run needs of the process.
type environment struct {
	program       string // as it was called
	args, environ []string
	out, errs     io.Writer // neither blocks
	dropped       func() uint64
	fail          func(why string) // ends the process at once
}

// run is main without the process around it, and returns the exit code. A failure is one line
// (for a configuration: one for each fault), and exit code 1. To be stopped is no failure.
func (p environment) run(ctx context.Context) int {
	if c, ok := commandIn(p.args); ok {
		return c.do(ctx, p)
	}
	o, err := parseFlags(p.args, p.out)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(p.errs, "mepserver:", err)
		return 1
	case o.version:
		if err := printVersion(ctx, p, conf.Config{}, given{}); err != nil {
			return 1
		}
		return 0
	}
	o.sources.Environ, o.sources.Rules = p.environ, fileRules(time.Now())
	c, err := conf.Load(o.sources)
	if err != nil {
		fmt.Fprintln(p.errs, err)
		return 1
	}
	if err := p.serve(ctx, c, "INFO", func(a net.Addr) { greet(p.out, c, a) }); err != nil {
		fmt.Fprintln(p.errs, "mepserver:", err)
		return 1
	}
	return 0
}

// serve runs a server with this configuration until ctx ends, and logs from that level on. up is
// called when it is ready.
func (p environment) serve(ctx context.Context, c conf.Config, level string, up func(net.Addr)) error {
	log := plugins.NewLog(p.errs, level)
	logSite(c, log)
	for _, m := range conf.MisspeltServer(p.environ) {
		log.Warn("an environment variable is close to a setting's and names none",
			openlog.WithTags(openlog.Tags{"variable": m.Variable, "setting": m.Setting}))
	}
	h := &plugins.Host{Config: c, Version: revision.Describe(version), Log: log, LogDropped: p.dropped, Errors: p.errs, Fail: p.fail}
	started := p.starting()
	defer started()
	return plugins.Run(ctx, h, list(), p.settled(ctx, started, up))
}

// authority is the file with the CA of a certificate: what init has put beside it, if it has.
func authority(certificate string) string {
	file := filepath.Join(filepath.Dir(certificate), provision.Authority)
	if _, err := os.Stat(file); err != nil {
		return "CA.pem"
	}
	return quoted(file)
}

// greet prints the one line that a user sees when the server is ready.
func greet(out io.Writer, c conf.Config, a net.Addr) {
	store := "etcd at " + fmt.Sprint(c.Store.Endpoints)
	if c.Store.Kind == conf.Embedded {
		dir, err := filepath.Abs(c.Store.DataDir)
		if err != nil {
			dir = c.Store.DataDir
		}
		store = "data in " + dir
	}
	if c.Server.TLS.On() {
		// The certificate names the host that clients use, and not every address of the machine.
		at, verify := cmp.Or(c.Server.Advertise, a.String()), "--cacert "+authority(c.Server.TLS.CertFile)
		if tcp, is := a.(*net.TCPAddr); is && tcp.IP.IsUnspecified() && c.Server.Advertise == "" {
			at = net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
		}
		if c.EdgeGallery.CommonName != "" { // the certificates of EdgeGallery's installer name no host
			verify = "-k"
		}
		fmt.Fprintf(out, "mepserver %s ready on https://%s, %s; try: curl %s https://%s/health\n", revision.Describe(version), a, store, verify, at)
		return
	}
	fmt.Fprintf(out, "mepserver %s ready on http://%s, %s; try: curl http://%s/mec_service_mgmt/v1/services\n", revision.Describe(version), a, store, a)
}
