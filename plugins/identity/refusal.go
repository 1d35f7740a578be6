package identity

import (
	"errors"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins/identity/token"
)

// fault is why a request is refused before it reaches its route, beside the faults of tokens.
type fault string

// The faults, as metrics show them.
const (
	anonymous        fault = "anonymous"
	badCertificate   fault = "certificate"
	certificateEnded fault = "certificate_expired"
	notBound         fault = "certificate_binding"
	notFrom          fault = "address_binding"
	badProxyHeader   fault = "proxy_header"
	disagreeing      fault = "disagreeing"
	ended            fault = "ended" // the credential of a token of our own was removed, or what else its issuer says
)

// Error implements error.
func (f fault) Error() string { return "the request is refused: " + string(f) }

// faults are the names of all faults there are.
func faults() (names []string) {
	for _, f := range []fault{anonymous, badCertificate, certificateEnded, notBound, notFrom, badProxyHeader, disagreeing, ended} {
		names = append(names, string(f))
	}
	for _, f := range token.Faults() {
		names = append(names, string(f))
	}
	return names
}

// refusal is the name of a fault in metrics, and the error that answers it. Whoever is refused
// learns nothing but whether he presented anything.
func refusal(err error) (why string, answer error) {
	var mine fault
	var its token.Fault
	switch {
	case errors.As(err, &mine) && mine == anonymous:
		return string(mine), server.ErrAnonymous
	case errors.As(err, &mine):
		return string(mine), server.ErrCredential
	case errors.As(err, &its) && its == token.NoKeys:
		return string(its), server.ErrNoKeys
	case errors.As(err, &its):
		return string(its), server.ErrCredential
	}
	return string(ended), err // of the issuer: one of mp1/server's
}
