package certs

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// Secured is dial with a handshake after it, which may take as long as most. config is asked for
// each connection, with the host that is dialled: files may have changed since the last one.
func Secured(dial DialFunc, most time.Duration, config func(host string) *tls.Config) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, most)
		defer cancel()
		secure := tls.Client(conn, config(host))
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secure, nil
	}
}
