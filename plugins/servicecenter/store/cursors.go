package store

import (
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// cursor is the value of one cursor's key. It begins where it was created.
type cursor struct {
	Schema int                  `json:"schema"`
	After  heartbeat.Revision   `json:"after"`
	Group  []heartbeat.Revision `json:"group,omitempty"`
	Newest heartbeat.Revision   `json:"newest,omitempty"`
	Gone   bool                 `json:"gone,omitempty"`
	// PutOff are the members of a cursor with changes that are put off. A release before this one
	// does not know them: it sees no Group then, and every event behind After is pending for it. So
	// it may send again what was sent, and loses nothing.
	PutOff *putOff `json:"putOff,omitempty"`
}

// putOff has the revisions of plugins.Cursor that are set while changes are put off.
type putOff struct {
	Passed heartbeat.Revision   `json:"passed"`
	Events []heartbeat.Revision `json:"events"`
	Group  []heartbeat.Revision `json:"group,omitempty"`
}

// cursorValue is the value that a cursor is written as.
func cursorValue(c *plugins.Cursor) cursor {
	v := cursor{Schema: heartbeat.Schema, After: c.After, Group: c.Group, Newest: c.Newest, Gone: c.Gone}
	if c.Passed > c.After {
		v.PutOff, v.Group = &putOff{Passed: c.Passed, Events: c.PutOff, Group: c.Group}, nil
	}
	return v
}

// cursorOf is the inverse. A release before this one may have moved After since PutOff was
// written, and composed a group: then that one is the next POST.
func cursorOf(v *cursor, kv *mvccpb.KeyValue) plugins.Cursor {
	c := plugins.Cursor{After: max(v.After, heartbeat.Revision(kv.CreateRevision)), Group: v.Group, Newest: v.Newest, Gone: v.Gone, At: heartbeat.Revision(kv.ModRevision)}
	p := v.PutOff
	if p == nil || p.Passed <= c.After {
		return c
	}
	behind := func(all []heartbeat.Revision) (out []heartbeat.Revision) {
		for _, at := range all {
			if at > c.After {
				out = append(out, at)
			}
		}
		return out
	}
	c.Passed, c.PutOff = p.Passed, behind(p.Events)
	if len(c.Group) == 0 {
		c.Group = behind(p.Group)
	}
	return c
}

func decodeCursor(kv *mvccpb.KeyValue) (plugins.Cursor, bool) {
	c, _, ok := decodeMembers(kv)
	return c, ok
}

// decodeMembers is decodeCursor with the members that this release does not know.
func decodeMembers(kv *mvccpb.KeyValue) (c plugins.Cursor, unknown string, ok bool) {
	var v cursor
	unknown, err := decode(kv.Value, &v)
	if err != nil || v.Schema != heartbeat.Schema {
		return plugins.Cursor{}, "", false
	}
	return cursorOf(&v, kv), unknown, true
}
