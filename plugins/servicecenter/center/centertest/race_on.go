//go:build race

package centertest

const raceEnabled = true
