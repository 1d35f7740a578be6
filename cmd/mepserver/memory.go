package main

import (
	"net"
	"runtime/debug"
	"strings"
)

// gcPercent is GOGC of a server that is ready, unless the environment sets it. What it holds of
// its services is long-lived, and a heartbeat makes little garbage: half of Go's default takes a
// third off the memory of 20,000 services, and a heartbeat costs no more. A start, which makes
// much that it throws away at once, has twice Go's default: with that it collects half as often.
const (
	gcPercent      = 50
	startGCPercent = 200
)

// starting has a server collect less garbage until it is settled.
func (p environment) starting() {
	if collectsByDefault(p.environ) {
		debug.SetGCPercent(startGCPercent)
	}
}

// settled is called when the server is ready, and has it keep less memory in reserve. GOMEMLIMIT
// goes on to be obeyed beside it.
func (p environment) settled(up func(net.Addr)) func(net.Addr) {
	return func(a net.Addr) {
		if collectsByDefault(p.environ) {
			debug.SetGCPercent(gcPercent)
		}
		up(a)
	}
}

// collectsByDefault says whether the environment leaves open how often garbage is collected.
func collectsByDefault(environ []string) bool {
	for _, v := range environ {
		if name, value, _ := strings.Cut(v, "="); name == "GOGC" && value != "" {
			return false
		}
	}
	return true
}
