package store

import (
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// Contents count what a store holds.
type Contents struct {
	States        map[heartbeat.State]int
	Unreadable    int
	First         string // key that cannot be read
	Subscriptions int
	Events        int
	Applications  int
	Credentials   int
	Instances     int
	Services      int
}

// Add counts a key.
func (c *Contents) Add(kv *mvccpb.KeyValue) {
	key, ok := string(kv.Key), true
	switch {
	case strings.HasPrefix(key, keys.RecordPrefix):
		r, err := decodeRecord(kv)
		if ok = err == nil; ok {
			c.States[r.State.Shown()]++
		}
	case strings.HasPrefix(key, keys.SubPrefix), strings.HasPrefix(key, keys.TerminationSubPrefix):
		c.Subscriptions++
		_, ok = decodeSubscription(kv)
	case strings.HasPrefix(key, keys.CursorPrefix):
		_, ok = decodeCursor(kv)
	case strings.HasPrefix(key, keys.OutboxPrefix), strings.HasPrefix(key, keys.TerminationPrefix):
		c.Events++
		_, ok = decodeEvent(kv)
	case strings.HasPrefix(key, keys.AppPrefix):
		c.Applications++
		_, _, ok = decodeApplication(kv)
	case strings.HasPrefix(key, keys.CredentialPrefix):
		c.Credentials++
		_, _, ok = decodeCredential(kv)
	case strings.HasPrefix(key, keys.RulesPrefix) && key != keys.RuleNames:
		_, _, ok = decodeRules(kv)
	case strings.HasPrefix(key, keys.GatewayPrefix):
		_, _, ok = decodeGatewayEntries(kv)
	case strings.HasPrefix(key, keys.DeploymentPrefix):
		_, _, ok = decodeDeployment(kv)
	case strings.HasPrefix(key, keys.InstancePrefix):
		c.Instances++
	case strings.HasPrefix(key, keys.ServicePrefix):
		c.Services++
	}
	if !ok {
		c.Unreadable++
		if c.First == "" || key < c.First {
			c.First = key
		}
	}
}
