package store

import (
	"context"
	"encoding/json"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

var _ plugins.DeploymentStore = (*Store)(nil)

// deployment is the value of the key of one application's deployment.
type deployment struct {
	Schema     int               `json:"schema"`
	Configured *deploymentConfig `json:"configured,omitempty"`
	Tasks      []deploymentTask  `json:"tasks,omitempty"`
	Leaving    bool              `json:"leaving,omitempty"`
	Forget     bool              `json:"forget,omitempty"`
}

type deploymentConfig struct {
	AppName    string `json:"appName"`
	SupportMp1 bool   `json:"supportMp1"`
}

type deploymentTask struct {
	ID     string             `json:"id"`
	Result plugins.TaskResult `json:"result"`
	Reason string             `json:"reason,omitempty"`
	Begun  int64              `json:"begun"`
	Config *deploymentConfig  `json:"config,omitempty"`
	Wanted *mp1.RuleSet       `json:"wanted,omitempty"`
	Before *mp1.RuleSet       `json:"before,omitempty"`
}

func encodeDeployment(d *plugins.Deployment) (string, error) {
	v := deployment{Schema: heartbeat.Schema, Configured: (*deploymentConfig)(d.Configured), Leaving: d.Leaving, Forget: d.Forget}
	for _, t := range d.Tasks {
		v.Tasks = append(v.Tasks, deploymentTask{t.ID, t.Result, t.Reason, t.Begun, (*deploymentConfig)(t.Config), t.Wanted, t.Before})
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// decodeDeployment also returns the members that this release does not know.
func decodeDeployment(kv *mvccpb.KeyValue) (d plugins.Deployment, unknown string, ok bool) {
	var v deployment
	unknown, err := decode(kv.Value, &v)
	d = deploymentAt(kv)
	if err != nil || v.Schema != heartbeat.Schema || !mp1.ValidID(d.App) {
		return d, "", false
	}
	d.Configured, d.Leaving, d.Forget = (*plugins.DeploymentConfig)(v.Configured), v.Leaving, v.Forget
	for _, t := range v.Tasks {
		d.Tasks = append(d.Tasks, plugins.DeploymentTask{ID: t.ID, Result: t.Result, Reason: t.Reason, Begun: t.Begun,
			Config: (*plugins.DeploymentConfig)(t.Config), Wanted: t.Wanted, Before: t.Before})
	}
	return d, unknown, true
}

func deploymentAt(kv *mvccpb.KeyValue) plugins.Deployment {
	return plugins.Deployment{App: strings.TrimPrefix(string(kv.Key), keys.DeploymentPrefix), At: heartbeat.Revision(kv.ModRevision)}
}

// SaveDeployment implements plugins.DeploymentStore. A full store refuses what is new, and
// takes what came of it.
func (s *Store) SaveDeployment(ctx context.Context, d plugins.Deployment) (heartbeat.Revision, error) {
	value, err := encodeDeployment(&d)
	if err != nil {
		return 0, err
	}
	class := quota.Free
	if n := len(d.Tasks); n > 0 && d.Tasks[n-1].Result == plugins.TaskProcessing {
		class = quota.Grow
	}
	key := keys.DeploymentPrefix + d.App
	return s.put(ctx, class, key, d.At, value)
}

// SaveNamedDeployment implements plugins.DeploymentStore.
func (s *Store) SaveNamedDeployment(ctx context.Context, d plugins.Deployment, names heartbeat.Revision) (heartbeat.Revision, error) {
	value, err := encodeDeployment(&d)
	if err != nil {
		return 0, err
	}
	key := keys.DeploymentPrefix + d.App
	more := s.unknown.members(key, int64(d.At))
	res, err := s.commit(ctx, quota.Grow, []clientv3.Cmp{
		clientv3.Compare(clientv3.ModRevision(key), "=", int64(d.At)), clientv3.Compare(clientv3.ModRevision(keys.DeploymentNames), "=", int64(names))},
		clientv3.OpPut(key, withMembers(value, more)), clientv3.OpPut(keys.DeploymentNames, d.App))
	if err != nil {
		return 0, err
	}
	s.unknown.set(key, res.Header.Revision, more)
	return heartbeat.Revision(res.Header.Revision), nil
}

// DeploymentNames implements plugins.DeploymentStore.
func (s *Store) DeploymentNames(ctx context.Context) (heartbeat.Revision, error) {
	kv, err := s.one(ctx, keys.DeploymentNames)
	if kv == nil || err != nil {
		return 0, err
	}
	return heartbeat.Revision(kv.ModRevision), nil
}

// EraseDeployment implements plugins.DeploymentStore.
func (s *Store) EraseDeployment(ctx context.Context, app string, at heartbeat.Revision) (heartbeat.Revision, error) {
	key := keys.DeploymentPrefix + app
	return s.writeAt(ctx, quota.Free, key, at, clientv3.OpDelete(key))
}

// Deployment implements plugins.DeploymentStore. What cannot be read is as good as not there;
// its revision lets it be replaced.
func (s *Store) Deployment(ctx context.Context, app string) (plugins.Deployment, error) {
	kv, err := s.one(ctx, keys.DeploymentPrefix+app)
	if kv == nil || err != nil {
		return plugins.Deployment{App: app}, err
	}
	return deploymentKind().read(s, kv), nil
}

// deploymentKind are these documents.
func deploymentKind() documents[plugins.Deployment] {
	return documents[plugins.Deployment]{name: "deployments", prefix: keys.DeploymentPrefix, end: keys.DeploymentsEnd, decode: decodeDeployment, erased: deploymentAt}
}

// FollowDeployments implements plugins.DeploymentStore.
func (s *Store) FollowDeployments(ctx context.Context, load func([]plugins.Deployment, heartbeat.Revision),
	see func(plugins.Deployment, bool), failed func(reason string, err error)) {
	deploymentKind().follow(ctx, s, load, see, failed)
}
