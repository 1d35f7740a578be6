package etcd

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
)

// Each ping of a client costs it and etcd as much as a message of renewals.
func TestRenewalsAreNotPingedFor(t *testing.T) {
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	var pings atomic.Int64
	s, err := open(t, conf.Store{Endpoints: []string{"http://" + pinged(t, strings.TrimPrefix(endpoint, "http://"), &pings)}})
	require.NoError(t, err)
	ids := leases(t, s, 20)
	before := pings.Load()
	const flights = 300
	for n := range flights {
		_, err := s.RenewLease(t.Context(), ids[n%len(ids)])
		require.NoError(t, err)
	}
	require.Less(t, pings.Load()-before, int64(flights/10), "pings for %d messages of renewals", flights)
}

// pinged forwards connections to a target and counts the pings of HTTP/2 that clients send.
func pinged(t *testing.T, target string, pings *atomic.Int64) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback, at once
	require.NoError(t, err)
	var work sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		work.Wait()
	})
	work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target) //nolint:noctx // the same
			if err != nil {
				_ = client.Close()
				continue
			}
			work.Go(func() {
				_, _ = io.Copy(client, server)
				_, _ = client.Close(), server.Close()
			})
			work.Go(func() {
				countPings(server, client, pings)
				_, _ = client.Close(), server.Close()
			})
		}
	})
	return l.Addr().String()
}

// countPings forwards what a client of HTTP/2 sends (RFC 9113 §3.4, §4.1).
func countPings(to io.Writer, from io.Reader, pings *atomic.Int64) {
	if _, err := io.CopyN(to, from, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	for {
		var head [9]byte
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return
		}
		if kind, ack := head[3], head[4]&1; kind == 6 && ack == 0 {
			pings.Add(1)
		}
		if _, err := to.Write(head[:]); err != nil {
			return
		}
		if _, err := io.CopyN(to, from, int64(binary.BigEndian.Uint32(head[:4])>>8)); err != nil {
			return
		}
	}
}
