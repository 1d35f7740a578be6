package agent

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"strconv"
	"strings"
)

// newAgentName makes the name that an agent sends as Mep-Agent, PLACE.RUN (ADR 0030). Two
// agents that live never have the same place. One that starts where another has crashed has
// its place, so that the dead one is not waited for. slot holds the place; it may be nil.
//
// Agents of one application at different platforms have nothing to do with each other.
func newAgentName(app string, endpoints []string) (name string, slot io.Closer) {
	place, slot := takePlace(strings.Join(append([]string{app}, endpoints...), " "))
	return place + "." + randomName(), slot
}

// randomName is 22 characters that nobody has had before.
func randomName() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// placeName names the slot of a group of agents in a network namespace of a running system.
func placeName(boot, namespace, group string, slot int) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{boot, namespace, group, strconv.Itoa(slot)}, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
