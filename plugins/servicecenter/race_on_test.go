//go:build race

package servicecenter

const raceEnabled = true
