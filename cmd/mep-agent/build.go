package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/conf"
)

// build turns a configuration into an agent's options.
func build(c conf.Agent) (agent.Options, error) {
	o := agent.Options{App: c.Application.ID, Endpoints: c.Platform.Endpoints, Prefix: c.Platform.Prefix, Timeout: c.Platform.Timeout,
		OnStop: agent.OnStop(c.Application.OnStop), StateFile: c.Application.StateFile}
	transport, err := agent.NewTransport(agent.TLS{CAFile: c.Platform.CAFile, CertFile: c.Platform.CertFile,
		KeyFile: c.Platform.KeyFile, ServerName: c.Platform.ServerName})
	if err != nil {
		return o, err
	}
	o.Transport = transport
	if o.Token, err = token(c, transport); err != nil {
		return o, err
	}
	for _, s := range c.Services {
		service := agent.Service{Probe: probe(s.Probe)}
		if err := json.Unmarshal(s.Info, &service.Info); err != nil {
			return o, fmt.Errorf("read a service: %w", err)
		}
		o.Services = append(o.Services, service)
	}
	return o, nil
}

func probe(p *conf.AgentProbe) *agent.Probe {
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

func token(c conf.Agent, platform http.RoundTripper) (agent.TokenSource, error) {
	i := c.Identity
	switch i.Kind {
	case conf.TokenFile:
		return agent.TokenFile(i.TokenFile), nil
	case conf.OAuth2:
		// the token server is trusted by the same authority, but has a name of its own
		own, err := agent.NewTransport(agent.TLS{CAFile: c.Platform.CAFile, CertFile: c.Platform.CertFile, KeyFile: c.Platform.KeyFile})
		if err != nil {
			return nil, err
		}
		return agent.OAuth2(agent.OAuth2Client{TokenURL: i.TokenURL, ClientID: i.ClientID, Scopes: i.Scopes,
			Secret: secret(i.ClientSecret, i.ClientSecretFile), Transport: own}), nil
	case conf.EdgeGallery:
		return agent.EdgeGallery(agent.AccessKey{Endpoints: c.Platform.Endpoints, Transport: platform,
			Access: secret(i.AccessKey, i.AccessKeyFile), Secret: secret(i.SecretKey, i.SecretKeyFile)}), nil
	}
	return nil, nil
}

// secret brings a secret each time that it is needed: a file may be replaced.
func secret(given conf.Secret, file string) func() (string, error) {
	return func() (string, error) {
		if file != "" {
			return agent.ReadSecret(file)
		}
		return given.Reveal(), nil
	}
}
