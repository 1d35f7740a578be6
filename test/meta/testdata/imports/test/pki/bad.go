// Package pki knows what its fixture needs.
package pki

import (
	_ "crypto/x509"
	_ "example.org/own/name/mp1"
	_ "github.com/stretchr/testify/require"
)
