package chassis

import (
	"context"
	"time"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/mp1"
)

// keeper is a running agent that keeps one service.
type keeper struct {
	agent *agent.Agent
	cut   context.CancelFunc
	ended chan error
}

// keep starts an agent for a service.
func keep(s settings, o Options, app string, info mp1.ServiceInfo) (*keeper, error) {
	a, err := newAgent(s, o, app, info)
	if err != nil {
		return nil, err
	}
	ctx, cut := context.WithCancel(context.Background())
	k := &keeper{agent: a, cut: cut, ended: make(chan error, 1)}
	go func() { k.ended <- a.Run(ctx) }()
	return k, nil
}

func newAgent(s settings, o Options, app string, info mp1.ServiceInfo) (*agent.Agent, error) {
	return agent.New(agent.Options{App: app, Endpoints: s.endpoints, Prefix: s.prefix, Transport: s.transport, Token: s.token,
		Timeout: platformTimeout, Metrics: o.Metrics, Services: []agent.Service{{Info: info}}})
}

// id waits for the id that the platform gives the service.
func (k *keeper) id(timeout time.Duration) (string, error) {
	const pause = 50 * time.Millisecond
	for deadline := time.Now().Add(timeout); ; {
		if s := k.agent.Status(); len(s) > 0 && s[0].ID != "" {
			return s[0].ID, nil
		}
		if time.Now().After(deadline) {
			return "", errNotRegistered
		}
		time.Sleep(pause)
	}
}

// stop removes the service from the platform.
func (k *keeper) stop() error {
	k.cut()
	return <-k.ended
}
