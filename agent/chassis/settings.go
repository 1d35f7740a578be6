package chassis

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
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
	accountSetting   = "servicecomb.credentials.account.name"
	ownSettings      = "servicecomb.mec."
	prefixSetting    = ownSettings + "prefix"
	tokenSetting     = ownSettings + "tokenFile"
	tokenURLSetting  = ownSettings + "tokenURL" // these three: client credentials (RFC 6749 §4.4)
	clientIDSetting  = ownSettings + "clientId"
	secretSetting    = ownSettings + "clientSecretFile"
)

// allOwn are the settings below ownSettings that there are.
var allOwn = []string{prefixSetting, tokenSetting, tokenURLSetting, clientIDSetting, secretSetting}

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
	if s.token == nil {
		if s.token, err = from.token(s.transport); err != nil {
			faults = append(faults, err)
		}
	}
	if get(accountSetting) != "" { // it would be left out of every request without a word
		faults = append(faults, fmt.Errorf("%s is service-center's; a MEC platform takes %s, or %s", accountSetting, tokenSetting, tokenURLSetting))
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

// token is the source of tokens that the settings name; nil: there is none.
func (from source) token(t http.RoundTripper) (agent.TokenSource, error) {
	file, tokenURL, id, secret := from.get(tokenSetting), from.get(tokenURLSetting), from.get(clientIDSetting), from.get(secretSetting)
	switch {
	case file != "" && tokenURL+id+secret != "":
		return nil, fmt.Errorf("%s and %s exclude each other", tokenSetting, tokenURLSetting)
	case file != "":
		return agent.TokenFile(file), nil
	case tokenURL+id+secret == "":
		return nil, nil
	case tokenURL == "" || id == "" || secret == "":
		return nil, fmt.Errorf("%s, %s and %s belong together", tokenURLSetting, clientIDSetting, secretSetting)
	}
	if u, err := url.Parse(tokenURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%s must be an http:// or https:// URL", tokenURLSetting)
	}
	return agent.OAuth2(agent.OAuth2Client{TokenURL: tokenURL, ClientID: id, Transport: t,
		Secret: func() (string, error) { return agent.ReadSecret(secret) }}), nil
}

// unknown has an error for each setting of ours that there is not: a misspelt name of the
// token's file would have every request go without it.
func (from source) unknown() (faults []error) {
	for _, key := range slices.Sorted(slices.Values(from.keys())) {
		if strings.HasPrefix(key, ownSettings) && !slices.Contains(allOwn, key) {
			faults = append(faults, fmt.Errorf("%s is no setting; there are %s", key, strings.Join(allOwn, ", ")))
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
