// Package agent registers the services of a MEC application at the platform and
// keeps them alive: register, beat, and register again when the platform has
// forgotten. It knows Mp1 through package mp1/client and when a heartbeat is due; it
// must not know anything of the server behind Mp1, nor of files and flags that
// configure it.
//
// One loop owns every service: what is due next lies in a heap, a few workers carry
// it out, and no service has a goroutine of its own.
package agent
