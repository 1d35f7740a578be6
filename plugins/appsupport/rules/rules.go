// Package rules keeps the DNS and traffic rules of applications and has drivers apply them: it
// knows what is wanted, what a driver has confirmed, and what is still to be removed. It must not
// know how a driver reaches whoever answers DNS, nor the store that holds the rules.
package rules

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/edgegallery"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/hosts"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/rfc2136"
)

// none is the driver that applies nothing: rules are kept and served, and whoever applies them
// reads them. What is wanted is so at once.
const none = string(conf.DNSNone)

type noDriver struct{}

// Set implements driver.DNS.
func (noDriver) Set(context.Context, string, mp1.IPAddressType, []driver.Record) error { return nil }

// makers make the drivers for DNS rules, by their names in the configuration.
var makers = map[conf.DNSDriver]func(conf.DNSRules, openlog.Logger) (any, error){
	conf.DNSNone:        func(conf.DNSRules, openlog.Logger) (any, error) { return noDriver{}, nil },
	conf.DNSHosts:       func(c conf.DNSRules, _ openlog.Logger) (any, error) { return hosts.New(c.HostsFile), nil },
	conf.DNSEdgeGallery: func(c conf.DNSRules, _ openlog.Logger) (any, error) { return edgegallery.New(c), nil },
	conf.DNSUpdate: func(c conf.DNSRules, log openlog.Logger) (any, error) {
		return rfc2136.New(c, time.Now, func(err error) {
			if err != nil {
				log.Warn("the TSIG key file changed and cannot be used; the key before it stays", openlog.WithTags(openlog.Tags{"reason": err.Error()}))
				return
			}
			log.Info("the TSIG key was read again")
		})
	},
}

// Plugin is the plugin that keeps rules.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "rules", Setup: setup} }

func setup(_ context.Context, h *plugins.Host) (func(context.Context) error, error) {
	c := h.Config.Rules.DNS
	newDriver := makers[c.Driver]
	if newDriver == nil {
		return nil, fmt.Errorf("there is no driver %q for DNS rules in this program", c.Driver)
	}
	inZone := ""
	if c.Zone != "" {
		var err error
		if inZone, err = domainName(c.Zone, ""); err != nil {
			return nil, fmt.Errorf("rules.dns.zone: %w", err)
		}
	}
	by, err := newDriver(c, h.Log)
	if err != nil {
		return nil, err
	}
	clock := plugins.NewClock()
	k := newKeeper(newDirectory(h.Base, h.Base.Alone(), clock), string(c.Driver), zone(inZone))
	report := newDriverReport(k.driver, h.Log, func() int64 { _, wall := clock(); return wall })
	report.register(k.directory, k.driver)
	k.failing = func() bool { _, reason := report.failure(); return reason != "" }
	r := reconciler{keeper: k, rank: h.Base.Rank, report: report, signals: make(chan struct{}, 1)}
	switch by := by.(type) {
	case driver.Whole:
		_, local := by.(driver.Local)
		w := &whole{reconciler: r, dns: zonedWhole{by, zone(inZone)}, local: local}
		k.directory.changed, k.reloaded = w.changed, w.signal
		h.Go(w.run)
	case driver.DNS:
		b := newByName(r, zonedDNS{by, zone(inZone)})
		k.directory.changed, k.reloaded = b.changed, b.reloaded
		h.Go(b.run)
	default:
		return nil, errors.New("a driver for DNS rules has no way to be told of names")
	}
	lists := h.Ready
	h.Ready = func() bool { return k.loaded.Load() && lists() }
	h.Rules, h.RuleDefiner = k, k
	h.AddOwned(owned{k})
	h.Go(func(ctx context.Context) {
		h.Base.FollowRules(ctx, k, func(reason string, err error) {
			if ctx.Err() == nil {
				h.Log.Warn("the rules are listed again", openlog.WithTags(openlog.Tags{"lost": reason, "reason": err.Error()}))
			}
		})
	})
	administration{keeper: k, report: report, admitted: h.Admitted, ready: func() bool { return h.Ready() }}.serve(h)
	return report.Unregister, nil
}
