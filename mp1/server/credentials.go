package server

import "errors"

// The refusals of those who keep credentials.
var (
	ErrNoCredential       = errors.New("there is no such credential")
	ErrCredentialExists   = errors.New("there is a credential of that id")
	ErrTooManyCredentials = errors.New("the platform has as many credentials as it may")
)
