package mp1

import (
	"cmp"
	"fmt"
	"time"
)

// Cause is why a service is in its state. It is an extension of ours: MEC 011 has none.
type Cause struct {
	Kind CauseKind `json:"kind"`
	// By is who decided: the replica that found the silence, or an administrator.
	By   string `json:"by,omitempty"`
	Text string `json:"text,omitempty"` // what an administrator gave as the reason
	// LastHeartbeat is that of the last one that is certain; WindowSeconds is how long the
	// service may be silent.
	LastHeartbeat time.Time `json:"lastHeartbeat,omitzero"`
	WindowSeconds int       `json:"windowSeconds,omitempty"`

	State    State `json:"-"` // that it is the cause of
	Interval int   `json:"-"` // seconds
}

// CauseKind is a kind of cause. A later release may have more.
type CauseKind string

// The kinds of causes; "" is that of a service whose cause was not kept.
const (
	CauseRegistered  CauseKind = "registered"
	CauseHeartbeat   CauseKind = "heartbeat"
	CauseSilence     CauseKind = "silence"
	CauseApplication CauseKind = "application"
	CauseDrained     CauseKind = "drained"
	CauseUndrained   CauseKind = "undrained"
	CauseDeleted     CauseKind = "deleted"
	CauseRetention   CauseKind = "retention"
)

// Sentence says it to people, in one line.
func (c Cause) Sentence() string {
	switch c.Kind {
	case "":
		return "not kept by an earlier release"
	case CauseRegistered:
		return c.asState("registered", "by the application")
	case CauseHeartbeat:
		return "a heartbeat came"
	case CauseSilence:
		return c.silence()
	case CauseApplication:
		return c.asState("set", "by the application")
	case CauseDrained:
		return c.operator("drained")
	case CauseUndrained:
		return c.operator("undrained")
	case CauseDeleted:
		return "deleted by the application, or together with it"
	case CauseRetention:
		return "removed: SUSPENDED for too long"
	default:
		return string(c.Kind)
	}
}

func (c Cause) asState(verb, who string) string {
	if c.State == "" {
		return verb + " " + who
	}
	return fmt.Sprintf("%s %s %s", verb, c.State, who)
}

// silence names the window: so long was the silence at least, whenever it was found.
func (c Cause) silence() string {
	s := "no heartbeat in time"
	if c.WindowSeconds > 0 {
		s = fmt.Sprintf("no heartbeat for %d s (interval %d s, window %d s)", c.WindowSeconds, c.Interval, c.WindowSeconds)
	}
	if c.By != "" {
		s += ", decided by " + c.By
	}
	return s
}

func (c Cause) operator(verb string) string {
	s := verb + " by " + cmp.Or(c.By, "an administrator")
	if c.Text != "" {
		s += ": " + c.Text
	}
	return s
}
