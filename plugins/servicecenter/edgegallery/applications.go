package edgegallery

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// gracefulTimeout is how long a termination goes on there, in seconds.
const gracefulTimeout = 5

// finished is the status of a termination that the application has confirmed.
const finished = 2

// terminating takes over that an application is being terminated. It was notified already, and
// whatever it had goes when the termination ends, as it would have gone there.
func (c *converter) terminating(rest string, kv *mvccpb.KeyValue) error {
	var v struct {
		TerminationStatus int
	}
	app := strings.TrimSuffix(rest, "/")
	if !mp1.ValidID(app) {
		return errors.New("names no application")
	}
	if err := json.Unmarshal(kv.Value, &v); err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	c.Terminations = append(c.Terminations, plugins.Application{Info: mp1.AppInfo{AppInstanceID: app}, Unregistered: true,
		Termination: &plugins.Termination{Action: mp1.Terminating, Timeout: gracefulTimeout, Begun: c.now.UnixNano(), Confirmed: v.TerminationStatus == finished}})
	c.Report.Terminating++
	return nil
}

// asked is what a manager has asked for one application.
type asked struct {
	configured, job *configuration
	tasks           []askedTask
	status          map[string]*progress
}

type askedTask struct {
	id string
	at int64 // revision
}

// configuration is what a manager configures an application with.
type configuration struct {
	mp1.AppDConfiguration
	operation string // of a job: POST, PUT or DELETE
}

// progress is how far a task is: it counts the rules that are done, and a failure is negative.
type progress struct {
	Progress int               `json:"progress"`
	Traffic  []json.RawMessage `json:"trafficRuleStatusList"`
	DNS      []json.RawMessage `json:"dnsRuleStatusList"`
	Details  string            `json:"details"`
}

func (c *converter) of(app string) *asked {
	if c.asked[app] == nil {
		c.asked[app] = &asked{status: map[string]*progress{}}
	}
	return c.asked[app]
}

func (c *converter) configuration(app string, kv *mvccpb.KeyValue) error {
	v, err := readConfiguration(app, kv)
	if err == nil {
		c.of(app).configured = v
	}
	return err
}

func (c *converter) job(app string, kv *mvccpb.KeyValue) error {
	v, err := readConfiguration(app, kv)
	if err == nil {
		c.of(app).job = v
	}
	return err
}

func readConfiguration(app string, kv *mvccpb.KeyValue) (*configuration, error) {
	if !mp1.ValidID(app) {
		return nil, errors.New("names no application")
	}
	var job struct {
		Operation string `json:"operation"`
	}
	if err := json.Unmarshal(kv.Value, &job); err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	v, err := mp1.DecodeAppDConfiguration(kv.Value)
	if err != nil {
		return nil, fmt.Errorf("cannot be configured here: %w", err)
	}
	return &configuration{v, job.Operation}, nil
}

func (c *converter) task(id string, kv *mvccpb.KeyValue) error {
	app := string(kv.Value)
	if !mp1.ValidID(app) || !mp1.ValidID(id) {
		return errors.New("names no task of an application")
	}
	a := c.of(app)
	a.tasks = append(a.tasks, askedTask{id, kv.ModRevision})
	return nil
}

func (c *converter) status(rest string, kv *mvccpb.KeyValue) error {
	app, id, _ := strings.Cut(rest, "/")
	if !mp1.ValidID(app) || !mp1.ValidID(id) {
		return errors.New("names no task of an application")
	}
	v := &progress{}
	if err := json.Unmarshal(kv.Value, v); err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	c.of(app).status[id] = v
	return nil
}

// keptTasks is how many tasks that are over are kept of an application: a manager asks for the
// last one.
const keptTasks = 8

// deployments are what was asked for each application. What it is configured with is asked for
// once more, so that its rules are defined here as they would be for its manager; and what was
// being done there is done.
func (c *converter) deployments() {
	for _, app := range slices.Sorted(maps.Keys(c.asked)) {
		a := c.asked[app]
		d := plugins.Deployment{App: app}
		slices.SortFunc(a.tasks, func(x, y askedTask) int { return cmp.Compare(x.at, y.at) })
		last := plugins.DeploymentTask{ID: plugins.NewUUID(), Result: plugins.TaskProcessing, Begun: c.now.UnixNano(), Before: &mp1.RuleSet{}}
		for _, t := range a.tasks {
			result, reason := a.status[t.id].result()
			switch {
			case result == plugins.TaskProcessing && a.job != nil:
				last.ID = t.id
			case result != plugins.TaskProcessing:
				d.Tasks = append(d.Tasks, plugins.DeploymentTask{ID: t.id, Result: result, Reason: reason, Begun: c.now.UnixNano()})
			}
		}
		d.Tasks = d.Tasks[max(0, len(d.Tasks)-keptTasks):]
		wanted := a.configured
		if a.job != nil {
			if wanted = a.job; a.job.operation == "DELETE" {
				wanted = nil
			}
		}
		if wanted != nil {
			last.Config, last.Wanted = &plugins.DeploymentConfig{AppName: wanted.AppName, SupportMp1: wanted.AppSupportMp1}, &wanted.Rules
		}
		if wanted != nil || a.job != nil {
			d.Tasks = append(d.Tasks, last)
		}
		if len(d.Tasks) > 0 {
			c.Deployments = append(c.Deployments, d)
			c.Report.Configured++
		}
	}
}

func (p *progress) result() (plugins.TaskResult, string) {
	switch {
	case p == nil:
		return plugins.TaskFailure, "what came of it is not known any more"
	case p.Progress < 0:
		return plugins.TaskFailure, plugins.Clean(p.Details)
	case p.Progress >= len(p.Traffic)+len(p.DNS):
		return plugins.TaskSuccess, ""
	}
	return plugins.TaskProcessing, ""
}
