// Package heartbeat knows when a registered instance is alive: the state table,
// the transactions that move a record through it, evidence, holds, claims and
// credited time. It must not know HTTP, JSON, ETSI's words for the wire or the
// store behind it: it decides transactions as values, and whoever owns the
// store carries them out.
//
// Every procedure (a heartbeat, a refutation, a claim, ...) is a Flow: a plain
// value whose Next method is told what happened and answers with the one Action
// wanted next. The engine performs these actions against a Store; the model
// check in this package's tests performs the same flows against a model store
// in every order.
package heartbeat
