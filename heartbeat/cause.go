package heartbeat

// Cause is why an instance is in its state. It is kept in the record, and told with every event.
type Cause struct {
	Kind CauseKind
	By   string // who decided it: a replica, or an administrator; "": the application, or not known
	Text string // what an administrator gave as the reason
}

// CauseKind is a kind of cause; what is stored may come from a later release.
type CauseKind string

// The kinds of causes. "" is that of a record whose cause no release has kept.
const (
	ByRegistration CauseKind = "registered"
	ByHeartbeat    CauseKind = "heartbeat"   // it was SUSPENDED, and a heartbeat came
	BySilence      CauseKind = "silence"     // no heartbeat came within its window; By is the replica that claimed that
	ByApplication  CauseKind = "application" // its owner set the state
	ByDrain        CauseKind = "drained"     // an administrator did: By is who, Text is why
	ByUndrain      CauseKind = "undrained"   // the same, of an instance that was drained
	ByDeletion     CauseKind = "deleted"     // by its owner, or with its application: told of what is removed
	ByRetention    CauseKind = "retention"   // it was SUSPENDED for too long, and removed
)

// CauseKinds lists every kind, for tables and tests.
var CauseKinds = [...]CauseKind{ByRegistration, ByHeartbeat, BySilence, ByApplication, ByDrain, ByUndrain, ByDeletion, ByRetention}
