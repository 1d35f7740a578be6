package edgegallery

import (
	"context"
	"errors"
	"net/http"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// maxConfiguration is the largest configuration that is read, in bytes: as large as
// EdgeGallery's.
const maxConfiguration = 32 << 10

// configuration serves the configurations of applications to MECM. Each change is a task: it is
// answered at once, and MECM polls what came of it.
type configuration struct {
	*deployments
	definer  plugins.RuleDefiner
	rules    server.Rules
	admitted func(ctx context.Context, app string) (bool, error)
	// creating is held from the check of a name until it is stored: two applications that are
	// configured at once must not both get it. Other replicas are kept from it by the store; this
	// keeps those of one replica from disturbing each other.
	// Of 1: a channel, for who waits may go away.
	creating chan struct{}
}

// progress is how MECM is told of a task.
type progress struct {
	TaskID        string             `json:"taskId"`
	AppInstanceID string             `json:"appInstanceId"`
	ConfigResult  plugins.TaskResult `json:"configResult"`
	ConfigPhase   string             `json:"configPhase"` // in percent
	Detailed      string             `json:"Detailed"`
}

// create configures an application that is not configured.
func (c *configuration) create(w http.ResponseWriter, r *http.Request) error {
	requested, err := readConfiguration(w, r)
	if err != nil {
		return err
	}
	app := r.PathValue("appInstanceId")
	select {
	case c.creating <- struct{}{}:
		defer func() { <-c.creating }()
	case <-r.Context().Done():
		return heartbeat.ErrUnavailable
	}
	names := &namer{deployments: c.deployments}
	return c.begin(w, r, names.save, &requested, func(now *plugins.Deployment) error {
		if err := names.look(r.Context()); err != nil {
			return err
		}
		switch {
		case now.Configured != nil:
			return &mp1.Invalid{Attribute: "appInstanceId", Rule: "is configured already; change that with PUT, or DELETE it first"}
		case c.nameTaken(app, requested.AppName):
			return &mp1.Invalid{Attribute: "appName", Rule: "is that of another application instance; choose another"}
		}
		return nil
	})
}

// update replaces the configuration of an application.
func (c *configuration) update(w http.ResponseWriter, r *http.Request) error {
	requested, err := readConfiguration(w, r)
	if err != nil {
		return err
	}
	return c.begin(w, r, c.store.SaveDeployment, &requested, func(now *plugins.Deployment) error {
		switch {
		case now.Configured == nil:
			return server.ErrNotConfigured
		case now.Configured.AppName != requested.AppName:
			return &mp1.Invalid{Attribute: "appName", Rule: "must be the one with which the application instance was configured first"}
		}
		return nil
	})
}

// remove removes the configuration of an application, and its rules.
func (c *configuration) remove(w http.ResponseWriter, r *http.Request) error {
	return c.begin(w, r, c.store.SaveDeployment, nil, func(now *plugins.Deployment) error {
		if now.Configured == nil {
			return server.ErrNotConfigured
		}
		return nil
	})
}

func readConfiguration(w http.ResponseWriter, r *http.Request) (mp1.AppDConfiguration, error) {
	body, err := server.ReadBody(w, r, maxConfiguration)
	if err != nil {
		return mp1.AppDConfiguration{}, err
	}
	return mp1.DecodeAppDConfiguration(body)
}

// begin stores a task and answers with it. requested is the configuration that it leads to; nil: to
// none. may refuses it by what is there.
func (c *configuration) begin(w http.ResponseWriter, r *http.Request, save saver, requested *mp1.AppDConfiguration, may func(*plugins.Deployment) error) error {
	ctx, app := r.Context(), r.PathValue("appInstanceId")
	switch admitted, err := c.admitted(ctx, app); {
	case err != nil:
		return err
	case !admitted:
		return server.ErrUnknownApplication
	}
	_, wall := c.clock()
	t := plugins.DeploymentTask{ID: plugins.NewUUID(), Result: plugins.TaskProcessing, Begun: wall}
	if requested != nil {
		t.Config, t.Wanted = &plugins.DeploymentConfig{AppName: requested.AppName, SupportMp1: requested.AppSupportMp1}, &requested.Rules
	}
	err := c.changeBy(ctx, app, save, func(now plugins.Deployment) (plugins.Deployment, error) {
		if err := may(&now); err != nil {
			return now, err
		}
		if runningTask(&now) != nil {
			return now, server.ErrConfiguring
		}
		if err := c.check(ctx, app, requested); err != nil {
			return now, err
		}
		was, err := c.definer.Defined(ctx, app)
		if err != nil {
			return now, err
		}
		t.Before = definitionOf(&was)
		now.Tasks = append(now.Tasks[:len(now.Tasks):len(now.Tasks)], t)
		return now, nil
	})
	if err != nil {
		return err
	}
	server.WriteForGateway(w, http.StatusOK, progress{t.ID, app, t.Result, "0", "Operation In progress"})
	return nil
}

// check refuses rules that would be refused when they are defined. EdgeGallery's own answers 400
// to a name of another application.
func (c *configuration) check(ctx context.Context, app string, requested *mp1.AppDConfiguration) error {
	if requested == nil {
		return nil
	}
	err := c.definer.Check(ctx, app, requested.Rules)
	if errors.Is(err, server.ErrDomainNameTaken) {
		return &mp1.Invalid{Attribute: "appDNSRule", Rule: "has a domain name of another application instance; choose another name"}
	}
	return err
}

// definitionOf are the rules as they were defined.
func definitionOf(r *plugins.Rules) *mp1.RuleSet {
	s := &mp1.RuleSet{}
	for _, one := range r.DNS {
		s.DNSRules = append(s.DNSRules, one.Defined)
	}
	for _, one := range r.Traffic {
		s.TrafficRules = append(s.TrafficRules, one.Defined)
	}
	return s
}

// show shows the configuration of an application, with its rules as they are.
func (c *configuration) show(w http.ResponseWriter, r *http.Request) error {
	ctx, app := r.Context(), r.PathValue("appInstanceId")
	d, err := c.store.Deployment(ctx, app)
	switch {
	case err != nil:
		return heartbeat.ErrUnavailable
	case d.Configured == nil:
		return server.ErrNotConfigured
	}
	out := mp1.AppDConfiguration{AppName: d.Configured.AppName, AppSupportMp1: d.Configured.SupportMp1}
	if out.Rules.DNSRules, err = c.rules.DNSRules(ctx, app); err != nil {
		return err
	}
	if out.Rules.TrafficRules, err = c.rules.TrafficRules(ctx, app); err != nil {
		return err
	}
	server.WriteForGateway(w, http.StatusOK, out)
	return nil
}

// showTask says what came of a task.
func (c *configuration) showTask(w http.ResponseWriter, r *http.Request) error {
	app, t, ok := c.task(r.PathValue("taskId"))
	if !ok {
		return server.ErrNoTask
	}
	phase := "0"
	if t.Result == plugins.TaskSuccess {
		phase = "100"
	}
	server.WriteForGateway(w, http.StatusOK, progress{t.ID, app, t.Result, phase, t.Reason})
	return nil
}
