// Package heartbeat knows when a registered instance is alive: the state table,
// the transactions that move a record through it, evidence, holds, claims and
// credited time. It must not know HTTP, JSON, ETSI's words for the wire or the
// store behind it: it decides transactions as values, and whoever owns the
// store carries them out.
//
// Every procedure (a heartbeat, a refutation, a claim, ...) is a Flow: a plain
// value that runs by a step table of its own. Its Next method is told how the last
// Action ended, and returns the next one. The Engine performs these actions against a
// Store; the model check in this package's tests performs the same flows against a
// model store in every order.
//
// An instance ACTIVE with heartbeats has a projection in the store, which hangs on a
// lease. When that ends, a replica with fresh evidence of the instance re-arms it (a
// refutation); else a replica claims the silence after a hold, and the instance is
// SUSPENDED until its next heartbeat. docs/protocol.md has the transactions, the steps
// of the flows and the reason for each rule, by numbers like CE5 (CE11 is not in use).
//
// The words of this package:
//
//   - absent: the record is ACTIVE and requires heartbeats, and its projection is gone.
//   - evidence: this replica received a heartbeat, a registration or a PUT of the instance;
//     fresh as long as it is younger than the window.
//   - hold: how long an absence is only watched, so that a replica with evidence can refute.
//   - re-arm, refute: put the projection of an absent instance back, on a new lease.
//   - claim: suspend an absent instance after the hold, in one transaction.
//   - adopt: renew the lease to which another replica has moved the instance.
//   - credited time: how long this replica has really run, without its pauses.
//   - disturbance: a start, a pause, a new list or a silent store; heartbeats may have been missed.
//   - an open end: a lease that ended, which this replica may have to refute and has not yet;
//     settled: it is refuted, or there is no fresh evidence against it.
//   - watermark: the revision up to which every end is settled at a replica.
//   - round: one attempt of a flow, from its read to its commit.
//   - mass: so many ends within a window that removals are held back (breaker.go).
//
// Where to begin: New, Engine.Run and Engine.Observe are the ways in, and Next (state.go) is
// the table of states. flow.go and steps.go have what a flow is, flow_*.go the flows,
// dispatch.go and tasks.go the way from a tick to a worker.
package heartbeat
