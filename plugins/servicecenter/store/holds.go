package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// Holds is a digest of what applications, managers and operators have written: as long as it is
// the same, nobody of them has. What the platform writes by itself is not in it: who is silent,
// what came of rules and tasks, what was told to whom. Heartbeats are not, either.
func (s *Store) Holds(ctx context.Context) (string, error) {
	sum := sha256.New()
	for _, of := range []struct {
		prefix string
		says   func(*mvccpb.KeyValue) any
	}{
		{keys.RecordPrefix, recordSays}, {keys.SubPrefix, valueSays}, {keys.TerminationSubPrefix, valueSays}, {keys.AppPrefix, valueSays},
		{keys.DeploymentPrefix, deploymentSays}, {keys.RulesPrefix, rulesSay},
	} {
		var failed error
		_, err := s.each(ctx, of.prefix, 0, func(kv *mvccpb.KeyValue) {
			if says := of.says(kv); says != nil && failed == nil {
				failed = addTo(sum, string(kv.Key), says)
			}
		})
		if err != nil || failed != nil {
			return "", cmp.Or(err, failed)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func addTo(sum hash.Hash, key string, says any) error {
	b, err := json.Marshal([]any{key, says})
	_, _ = sum.Write(append(b, '\n')) // which has no errors
	return err
}

func valueSays(kv *mvccpb.KeyValue) any { return string(kv.Value) }

// recordSays is a service as it was registered, and the state that somebody set.
func recordSays(kv *mvccpb.KeyValue) any {
	r, err := decodeRecord(kv)
	if err != nil {
		return valueSays(kv)
	}
	state, by := r.State, r.Cause
	if state == heartbeat.Suspended {
		state = heartbeat.Active
	}
	if by.Kind == heartbeat.BySilence || by.Kind == heartbeat.ByHeartbeat || by.Kind == heartbeat.ByRegistration {
		by = heartbeat.Cause{}
	}
	return []any{r.Owner, r.Attributes, r.Proposed, state, by}
}

// deploymentSays is what a manager asked for.
func deploymentSays(kv *mvccpb.KeyValue) any {
	d, _, ok := decodeDeployment(kv)
	if !ok {
		return valueSays(kv)
	}
	var tasks []string
	for _, t := range d.Tasks {
		tasks = append(tasks, t.ID)
	}
	return tasks
}

// rulesSay is what an application has made of its rules. They are defined by tasks.
func rulesSay(kv *mvccpb.KeyValue) any {
	var v rules
	if strings.HasPrefix(string(kv.Key), keys.RuleNames) {
		return nil
	}
	if _, err := decode(kv.Value, &v); err != nil {
		return valueSays(kv)
	}
	var changed []any
	for _, r := range v.DNS {
		if r.Changed != nil {
			changed = append(changed, *r.Changed)
		}
	}
	for _, r := range v.Traffic {
		if r.Changed != nil {
			changed = append(changed, *r.Changed)
		}
	}
	if changed == nil {
		return nil
	}
	return changed
}
