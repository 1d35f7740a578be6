package chassis

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/mp1"
)

// keeper is the running agent of one microservice, which a go-chassis application has.
type keeper struct {
	agent   *agent.Agent
	cut     context.CancelFunc
	ended   chan error
	changed chan struct{} // has room for one
}

// serviceOf is the service of a description. Its state is that of the instance, which only the
// application sets: one that was killed while it was DOWN would never be called again otherwise.
func serviceOf(info mp1.ServiceInfo) agent.Service { return agent.Service{Info: info, OwnState: true} }

// keep starts an agent for a service.
func keep(s settings, o Options, app string, info mp1.ServiceInfo) (*keeper, error) {
	k := &keeper{ended: make(chan error, 1), changed: make(chan struct{}, 1)}
	options := s.agent(app)
	options.Services, options.Metrics = []agent.Service{serviceOf(info)}, o.Metrics
	options.Log = slog.New(openlogHandler{})
	options.OnChange = func(agent.Change) {
		select {
		case k.changed <- struct{}{}:
		default: // whoever waits will look
		}
	}
	var err error
	if k.agent, err = agent.New(options); err != nil {
		return nil, err
	}
	ctx, cut := context.WithCancel(context.Background())
	k.cut = cut
	go func() { k.ended <- k.agent.Run(ctx) }()
	return k, nil
}

// update changes the description of the service at the platform.
func (k *keeper) update(info mp1.ServiceInfo) error {
	return k.agent.Update(info.SerName, serviceOf(info))
}

// id waits for the id that the platform gives the service.
func (k *keeper) id(timeout time.Duration) (string, error) {
	late := time.NewTimer(timeout)
	defer late.Stop()
	for over := false; ; {
		s := k.agent.Status()[0]
		if s.ID != "" {
			return s.ID, nil
		}
		if over {
			return "", fmt.Errorf("%w: %s", errNotRegistered, s.Reason)
		}
		select {
		case <-k.changed:
		case <-late.C: // once more: somebody else who waits may have taken the word of the change
			over = true
		}
	}
}

// stop removes the service from the platform, unless another agent keeps it alive there. It
// takes ten seconds at most.
func (k *keeper) stop() error {
	k.cut()
	return <-k.ended
}

// openlogHandler writes the agent's lines to the log of the application. The agent has made
// texts from outside printable.
type openlogHandler struct{}

// Enabled implements slog.Handler. What is written is for the application's log to decide.
func (openlogHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (openlogHandler) Handle(_ context.Context, line slog.Record) error {
	tags := openlog.Tags{}
	line.Attrs(func(a slog.Attr) bool {
		tags[a.Key] = a.Value.Any()
		return true
	})
	write := openlog.Info
	if line.Level >= slog.LevelWarn {
		write = openlog.Warn
	}
	write("mec: "+line.Message, openlog.WithTags(tags))
	return nil
}

// WithAttrs implements slog.Handler. The agent uses none.
func (h openlogHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements slog.Handler. The agent uses none.
func (h openlogHandler) WithGroup(string) slog.Handler { return h }
