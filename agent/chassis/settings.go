package chassis

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chassis/go-archaius"
	"github.com/go-chassis/go-chassis/v2/core/registry"
	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/agent"
)

// The settings that are read beside what go-chassis hands over. Those below servicecomb.mec
// are our own.
const (
	refreshSetting   = "servicecomb.registry.refreshInterval"
	heartbeatSetting = "servicecomb.registry.heartbeat.interval"
	watchSetting     = "servicecomb.registry.watch"
	accountSetting   = "servicecomb.credentials.account.username"
	prefixSetting    = "servicecomb.mec.prefix"
	tokenSetting     = "servicecomb.mec.tokenFile"
)

const (
	defaultRefresh  = 5 * time.Second
	minRefresh      = 100 * time.Millisecond
	maxHeartbeat    = 24 * time.Hour
	platformTimeout = 5 * time.Second // of one request to one endpoint
)

// lookup gives the text of a setting, "" if there is none.
type lookup func(key string) string

// setting is the lookup of a running application.
func setting(key string) string { return archaius.GetString(key, "") }

// settings are what both plugins are made of.
type settings struct {
	endpoints []string
	prefix    string
	transport http.RoundTripper
	token     agent.TokenSource
	interval  int           // of heartbeats that is proposed, in seconds; 0: the platform chooses
	refresh   time.Duration // how often the platform is asked for the services of others
}

// readSettings returns an error that joins one for each fault.
func readSettings(o Options, r registry.Options, get lookup) (s settings, err error) {
	s = settings{prefix: get(prefixSetting), transport: o.Transport, token: o.Token, refresh: defaultRefresh}
	scheme := "http://"
	if r.EnableSSL {
		scheme = "https://"
	}
	for _, host := range r.Addrs {
		s.endpoints = append(s.endpoints, scheme+host)
	}
	var faults []error
	if s.transport == nil {
		if s.transport, err = newTransport(r); err != nil {
			faults = append(faults, err)
		}
	}
	if file := get(tokenSetting); s.token == nil && file != "" {
		s.token = agent.TokenFile(file)
	}
	if get(accountSetting) != "" { // it would be left out of every request without a word
		faults = append(faults, fmt.Errorf("%s is service-center's; a MEC platform takes %s", accountSetting, tokenSetting))
	}
	if text := get(refreshSetting); text != "" {
		if s.refresh, err = time.ParseDuration(text); err != nil || s.refresh < minRefresh {
			faults = append(faults, fmt.Errorf("%s must be a duration of at least %s", refreshSetting, minRefresh))
		}
	}
	if text := get(heartbeatSetting); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Second || d > maxHeartbeat {
			faults = append(faults, fmt.Errorf("%s must be a duration from 1s to %s", heartbeatSetting, maxHeartbeat))
		}
		s.interval = int(d / time.Second)
	}
	return s, errors.Join(faults...)
}

// agent are the options of an agent of an application that reaches the platform.
func (s settings) agent(app string) agent.Options {
	return agent.Options{App: app, Endpoints: s.endpoints, Prefix: s.prefix, Transport: s.transport, Token: s.token, Timeout: platformTimeout}
}

// newTransport is a transport of the certificates that go-chassis has read. Its default for
// registries is to verify none, which would hand the application's token to anybody: the
// authorities are those of caFile if verifyPeer is true, and the system's otherwise.
func newTransport(r registry.Options) (http.RoundTripper, error) {
	t, err := agent.NewTransport(agent.TLS{})
	if err != nil {
		return nil, err
	}
	if c := r.TLSConfig; c != nil {
		t.TLSClientConfig.RootCAs, t.TLSClientConfig.Certificates, t.TLSClientConfig.ServerName = c.RootCAs, c.Certificates, c.ServerName
	}
	return t, nil
}

// warnOfWatch says that a setting is not used, or its absence would be noticed late.
func warnOfWatch(get lookup) {
	if get(watchSetting) == "true" {
		openlog.Warn(watchSetting + " is not used over Mp1: " + refreshSetting + " says how often the platform is asked")
	}
}
