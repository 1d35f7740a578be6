package chassis

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
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
	ownSettings      = "servicecomb.mec."
	prefixSetting    = ownSettings + "prefix"
	tokenSetting     = ownSettings + "tokenFile"
)

const (
	defaultRefresh  = 5 * time.Second
	minRefresh      = 100 * time.Millisecond
	maxHeartbeat    = 24 * time.Hour
	platformTimeout = 5 * time.Second // of one request to one endpoint
)

// source is where settings come from.
type source struct {
	get  func(key string) string // "" if there is none
	keys func() []string         // of all settings
}

// ofApplication are the settings of the running application.
var ofApplication = source{
	get:  func(key string) string { return archaius.GetString(key, "") },
	keys: func() []string { return slices.Collect(maps.Keys(archaius.GetConfigs())) },
}

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
func readSettings(o Options, r registry.Options, from source) (s settings, err error) {
	get := from.get
	s = settings{prefix: get(prefixSetting), transport: o.Transport, token: o.Token, refresh: defaultRefresh}
	scheme := "http://"
	if r.EnableSSL {
		scheme = "https://"
	}
	for _, host := range r.Addrs {
		s.endpoints = append(s.endpoints, scheme+host)
	}
	faults := from.unknown()
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

// unknown has an error for each setting of ours that there is not: a misspelt name of the
// token's file would have every request go without it.
func (from source) unknown() (faults []error) {
	for _, key := range slices.Sorted(slices.Values(from.keys())) {
		if strings.HasPrefix(key, ownSettings) && key != prefixSetting && key != tokenSetting {
			faults = append(faults, fmt.Errorf("%s is no setting; there are %s and %s", key, prefixSetting, tokenSetting))
		}
	}
	return faults
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
func warnOfWatch(from source) {
	if from.get(watchSetting) == "true" {
		openlog.Warn(watchSetting + " is not used over Mp1: " + refreshSetting + " says how often the platform is asked")
	}
}
