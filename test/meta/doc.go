// Package meta holds the rules of the house as tests: who may import whom, that
// every package says what it is, how long files and functions may be, what must
// not stand in a tracked file, and the form of the ADRs.
//
// It knows source text only; it must not run or import what it judges. Each rule
// is a function from a tree to its findings, so that the same function judges
// the repository, where it must find nothing, and a tree in testdata, where it
// must find exactly what the fixture plants.
package meta
