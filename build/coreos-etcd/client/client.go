// Package client has the two names of etcd's retired v2 client that
// service-center's pkg/etcdsync mentions. Nothing returns this error.
package client

// Error is what the v2 client returned.
type Error struct {
	Code    int    `json:"errorCode"`
	Message string `json:"message"`
	Cause   string `json:"cause"`
	Index   uint64 `json:"index"`
}

func (e Error) Error() string { return e.Message }

// ErrorCodeKeyNotFound is the v2 client's code of a missing key.
const ErrorCodeKeyNotFound = 100
