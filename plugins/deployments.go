package plugins

import (
	"context"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Deployment is what an edge platform's manager has asked for an application instance, beside
// the rules themselves: how it is configured, what came of that, and what is left to be done
// since it was terminated.
type Deployment struct {
	App string
	// Configured is what the application is configured with; nil: it is not.
	Configured *DeploymentConfig
	// Tasks are what was asked, the newest last.
	Tasks []DeploymentTask
	// Leaving says that the application is still to be terminated.
	Leaving bool
	// Forget says that the gateway's side still has the credentials of an application that was
	// terminated.
	Forget bool
	At     heartbeat.Revision // of its last write; 0: there is none
}

// DeploymentConfig is what a configuration says beside its rules.
type DeploymentConfig struct {
	AppName    string
	SupportMp1 bool // as it was asked; nothing follows from it
}

// DeploymentTask is one change of the configuration. Config, Wanted and Before are there while
// Result is TaskProcessing.
type DeploymentTask struct {
	ID     string // a UUID
	Result TaskResult
	Reason string // of TaskFailure
	Begun  int64  // wall clock, Unix nanoseconds
	// Config and Wanted are the configuration if the task succeeds; nil: there is none then.
	Config *DeploymentConfig
	Wanted *mp1.RuleSet
	// Before are the rules to which a failure leads back.
	Before *mp1.RuleSet
}

// TaskResult is how far a DeploymentTask is, in the words of EdgeGallery's clients.
type TaskResult string

// The results of tasks.
const (
	TaskProcessing TaskResult = "PROCESSING"
	TaskSuccess    TaskResult = "SUCCESS"
	TaskFailure    TaskResult = "FAILURE"
)

// DeploymentStore is what the store offers to those who keep deployments. Its errors are those
// of heartbeat.Store.
type DeploymentStore interface {
	// SaveDeployment writes a deployment whose last write is still d.At (0: there is none) and
	// returns the new one; ErrConflict: it is not.
	SaveDeployment(ctx context.Context, d Deployment) (heartbeat.Revision, error)
	// DeploymentNames is the revision of the last SaveNamedDeployment; 0: there was none.
	DeploymentNames(ctx context.Context) (heartbeat.Revision, error)
	// SaveNamedDeployment is SaveDeployment for one that gets a name, which no two may have. It is
	// an ErrConflict, too, if the last such write was not the one at names.
	SaveNamedDeployment(ctx context.Context, d Deployment, names heartbeat.Revision) (heartbeat.Revision, error)
	// EraseDeployment erases a deployment whose last write is still at; ErrConflict: it is not.
	EraseDeployment(ctx context.Context, app string, at heartbeat.Revision) (heartbeat.Revision, error)
	// Deployment reads one; its At is 0 if there is none.
	Deployment(ctx context.Context, app string) (Deployment, error)
	// FollowDeployments calls load with all deployments, and then see with every write until ctx
	// ends; erased says whether it erased the deployment, of which only App and At are set then.
	// Whatever breaks the watch leads to a new load. Neither may block.
	FollowDeployments(ctx context.Context, load func(all []Deployment, at heartbeat.Revision),
		see func(d Deployment, erased bool), failed func(reason string, err error))
}

// RuleDefiner is what the rules plugin offers to others on the platform's side who define rules.
type RuleDefiner interface {
	// Check refuses what Define would refuse, as far as this replica knows.
	Check(ctx context.Context, app string, s mp1.RuleSet) error
	// Define replaces all rules of an application. It returns them as they are when the driver
	// has answered, or after a short time. Its errors are those of server.Rules.
	Define(ctx context.Context, app string, s mp1.RuleSet) (Rules, error)
	// Defined reads the rules of an application; their At is 0 if there are none.
	Defined(ctx context.Context, app string) (Rules, error)
}
