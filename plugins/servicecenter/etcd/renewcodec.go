package etcd

import (
	"encoding/binary"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/mem"
)

// renewalCodec encodes the two messages of a stream of renewals by hand: each is two numbers, for which
// gRPC's codec of protocol buffers goes through two wrappers of an older one. Headers are left out,
// nobody reads them.
type renewalCodec struct{}

// Fields of the messages, as in etcd's rpc.proto.
const (
	requestID   = 1
	responseID  = 2
	responseTTL = 3
)

// The ways in which protocol buffers write a field.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

var errRenewalMessage = errors.New("a message of a stream of renewals cannot be read")

// Name implements encoding.CodecV2: on the wire nothing differs.
func (renewalCodec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (renewalCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*pb.LeaseKeepAliveRequest)
	if !ok {
		return nil, fmt.Errorf("%w: %T", errRenewalMessage, v)
	}
	b := make([]byte, 0, 1+binary.MaxVarintLen64)
	if m.ID != 0 {
		b = binary.AppendUvarint(append(b, requestID<<3|wireVarint), uint64(m.ID)) //nolint:gosec // as protocol buffers do
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (renewalCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*pb.LeaseKeepAliveResponse)
	if !ok {
		return fmt.Errorf("%w: %T", errRenewalMessage, v)
	}
	var b []byte
	if len(data) == 1 {
		b = data[0].ReadOnlyData()
	} else {
		b = data.Materialize()
	}
	m.ID, m.TTL = 0, 0
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return errRenewalMessage
		}
		b = b[n:]
		x, n := uint64(0), 0
		switch tag & 7 {
		case wireVarint:
			x, n = binary.Uvarint(b)
		case wire64:
			n = 8
		case wireBytes:
			if x, n = binary.Uvarint(b); n > 0 && x <= uint64(len(b)-n) {
				n += int(x) //nolint:gosec // no more than there is
			} else {
				n = 0
			}
		case wire32:
			n = 4
		}
		if n <= 0 || n > len(b) {
			return errRenewalMessage
		}
		b = b[n:]
		switch tag {
		case responseID<<3 | wireVarint:
			m.ID = int64(x) //nolint:gosec // as protocol buffers do
		case responseTTL<<3 | wireVarint:
			m.TTL = int64(x) //nolint:gosec // the same
		}
	}
	return nil
}
