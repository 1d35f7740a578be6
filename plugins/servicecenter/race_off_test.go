//go:build !race

package servicecenter

const raceEnabled = false
