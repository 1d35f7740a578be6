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
// of the flows and the reason for each rule, by numbers like CE5.
//
// Where to begin: state.go has the state table, flow.go and steps.go what a flow is,
// flow_*.go the flows, dispatch.go and tasks.go the way from a tick to a worker.
package heartbeat
