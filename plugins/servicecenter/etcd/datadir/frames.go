package datadir

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
)

// decoder reads the records of a segment, one after the other, until io.EOF.
type decoder interface {
	Decode(rec *walpb.Record) error
	UpdateCRC(before uint32)
	LastCRC() uint32
}

// frames reads records as etcd's decoder does, but into memory that is used again: that one allocates
// twice what it reads, which was a fifth of all that a start allocated. It knows sound records only. Of all
// else it says errUnsound, and etcd's decoder says what it is.
type frames struct {
	from *bufio.Reader
	left int64 // bytes of the file
	head [8]byte
	data []byte
	crc  uint32
}

var (
	errUnsound = errors.New("it is no sound record")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

const framesBuffer = 256 << 10

func newFrames(from io.Reader, size int64) *frames {
	return &frames{from: bufio.NewReaderSize(from, framesBuffer), left: size}
}

// Decode implements decoder. The record's data is valid until the next call.
func (f *frames) Decode(rec *walpb.Record) error {
	*rec = walpb.Record{Data: rec.Data[:0]}
	_, err := io.ReadFull(f.from, f.head[:])
	length := int64(binary.LittleEndian.Uint64(f.head[:])) //nolint:gosec // its first bit says that there is padding
	switch {
	case errors.Is(err, io.EOF), err == nil && length == 0: // the end of the file, or room for more
		return io.EOF
	case err != nil:
		return errUnsound
	}
	size, padding := length&(1<<56-1), int64(0)
	if length < 0 {
		padding = length >> 56 & 7
	}
	if f.left -= int64(len(f.head)) + size + padding; f.left < 0 {
		return errUnsound
	}
	f.data = slices.Grow(f.data[:0], int(size+padding))[:size+padding]
	if _, err := io.ReadFull(f.from, f.data); err != nil || rec.Unmarshal(f.data[:size]) != nil {
		return errUnsound
	}
	if rec.Type == wal.CrcType {
		return nil
	}
	if f.crc = crc32.Update(f.crc, castagnoli, rec.Data); rec.Crc != f.crc {
		return errUnsound
	}
	return nil
}

// UpdateCRC implements decoder.
func (f *frames) UpdateCRC(before uint32) { f.crc = before }

// LastCRC implements decoder.
func (f *frames) LastCRC() uint32 { return f.crc }
