package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/conf"
)

// agentOptions turns a configuration into the options of an agent. Its error is of a file
// that the configuration names.
func agentOptions(c conf.Agent) (agent.Options, error) {
	o := agent.Options{App: c.Application.ID, Endpoints: c.Platform.Endpoints, Prefix: c.Platform.Prefix, Timeout: c.Platform.Timeout,
		OnStop: agent.OnStop(c.Application.OnStop), StateFile: c.Application.StateFile,
		ConfirmReady: c.Application.ConfirmReady, OnTermination: agent.OnTermination(c.Application.OnTermination)}
	transport, err := agent.NewTransport(agent.TLS{CAFile: c.Platform.CAFile, CertFile: c.Platform.CertFile,
		KeyFile: c.Platform.KeyFile, ServerName: c.Platform.ServerName})
	if err != nil {
		return o, err
	}
	o.Transport = transport
	if o.Token, err = newTokenSource(c, transport); err != nil {
		return o, err
	}
	for _, s := range c.Services {
		service := agent.Service{Probe: newProbe(s.Probe)}
		if err := json.Unmarshal(s.Info, &service.Info); err != nil {
			return o, fmt.Errorf("read a service: %w", err)
		}
		o.Services = append(o.Services, service)
	}
	return o, nil
}

// newProbe turns a configured probe into the agent's; nil if there is none.
func newProbe(p *conf.AgentProbe) *agent.Probe {
	if p == nil {
		return nil
	}
	out := &agent.Probe{Interval: p.Interval, Timeout: p.Timeout, Failures: p.Failures}
	switch {
	case p.TCP != "":
		out.Check = agent.TCPProbe(p.TCP)
	case p.HTTP != "":
		out.Check = agent.HTTPProbe(p.HTTP)
	default:
		out.Check = agent.ExecProbe(p.Exec, conf.SecretVariables()...)
	}
	return out
}

// newTokenSource makes the source of the configured kind; nil for none.
func newTokenSource(c conf.Agent, platform http.RoundTripper) (agent.TokenSource, error) {
	i := c.Identity
	switch i.Kind {
	case conf.TokenFile:
		return agent.TokenFile(i.TokenFile), nil
	case conf.OAuth2:
		// A transport of its own, without platform.serverName: the token server's certificate
		// has another name.
		own, err := agent.NewTransport(agent.TLS{CAFile: c.Platform.CAFile, CertFile: c.Platform.CertFile, KeyFile: c.Platform.KeyFile})
		if err != nil {
			return nil, err
		}
		return agent.OAuth2(agent.OAuth2Client{TokenURL: i.TokenURL, ClientID: i.ClientID, Scopes: i.Scopes,
			Secret: readSecret(i.ClientSecret, i.ClientSecretFile), Transport: own,
			Explain: func(err error) error { return explainToken(err, i.TokenURL) }}), nil
	case conf.AccessKey:
		return agent.EdgeGallery(agent.AccessKey{Endpoints: c.Platform.Endpoints, Transport: platform,
			Access: readSecret(i.AccessKey, i.AccessKeyFile), Secret: readSecret(i.SecretKey, i.SecretKeyFile)}), nil
	}
	return nil, nil
}

// readSecret makes a function that returns a secret: what is given, or what is in the file,
// which may have been replaced since the last call.
func readSecret(given conf.Secret, file string) func() (string, error) {
	return func() (string, error) {
		if file != "" {
			return agent.ReadSecret(file)
		}
		return given.Reveal(), nil
	}
}
