package server

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
)

// ResponseMemory is what the handlers need of whoever bounds the memory of answers that
// clients are slow to read.
type ResponseMemory interface {
	// Reserve takes so many bytes until release is called. It returns false if there are not
	// as many.
	Reserve(bytes int64) (release func(), ok bool)
}

// ErrUnread is the error of an answer for which there is no memory until others are read.
var ErrUnread = errors.New("too much of other answers is waiting to be read")

// listBufferSize is all the memory that a list needs for each client, beside the pointers
// to its services: a service is encoded once for all clients.
const listBufferSize = 8 << 10

var listBuffers = sync.Pool{New: func() any { b := make([]byte, 0, listBufferSize); return &b }}

// What a list costs, in bytes.
const (
	pointerSize = 8
	readerCost  = 2 * listBufferSize // with what net/http keeps for a request
)

// sharedLists counts the clients that read each list, so that the memory of a list that many
// share is reserved once.
type sharedLists struct {
	mu      sync.Mutex
	byFirst map[**Service]*sharedList // by the address of its first element
}

type sharedList struct {
	readers int
	release func()
}

// reserve reserves what one more reader of a list costs.
func (rs *sharedLists) reserve(u ResponseMemory, services []*Service) (release func(), ok bool) {
	if len(services) == 0 {
		return u.Reserve(readerCost)
	}
	own, ok := u.Reserve(readerCost)
	if !ok {
		return nil, false
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	key := &services[0]
	l := rs.byFirst[key]
	if l == nil {
		shared, ok := u.Reserve(pointerSize * int64(len(services)))
		if !ok {
			own()
			return nil, false
		}
		if rs.byFirst == nil {
			rs.byFirst = map[**Service]*sharedList{}
		}
		l = &sharedList{release: shared}
		rs.byFirst[key] = l
	}
	l.readers++
	return func() {
		own()
		rs.mu.Lock()
		defer rs.mu.Unlock()
		if l.readers--; l.readers == 0 {
			l.release()
			delete(rs.byFirst, key)
		}
	}, true
}

// writeServices writes the services as a JSON array. It never has all of it in memory.
func (s *api) writeServices(w http.ResponseWriter, r *http.Request, services []*Service, prefix string) error {
	if s.options.ResponseMemory != nil {
		release, ok := s.readers.reserve(s.options.ResponseMemory, services)
		if !ok {
			return ErrUnread
		}
		defer release()
	}
	piece, _ := listBuffers.Get().(*[]byte)
	defer func() { *piece = (*piece)[:0]; listBuffers.Put(piece) }()
	short, size := shortList((*piece)[:0], services, prefix)
	if short == nil {
		size = 3 + max(len(services)-1, 0)
		for _, one := range services {
			size += len(one.represent(prefix).body)
		}
	}
	h := w.Header()
	h.Set("Content-Type", s.jsonType)
	h.Set("Content-Length", strconv.Itoa(size))
	setSecurityHeaders(h)
	w.WriteHeader(http.StatusOK)
	switch {
	case r.Method == http.MethodHead:
	case short != nil:
		_, _ = w.Write(short)
	default:
		writeList(w, services, prefix, (*piece)[:0])
	}
	return nil
}

// shortList is a list of few services as a whole, in the buffer; nil: it does not fit there, and is
// worth keeping.
func shortList(out []byte, services []*Service, prefix string) (all []byte, size int) {
	room := cap(out) - 3 - len(services)
	for _, one := range services {
		if room -= one.length(); room < 0 {
			return nil, 0
		}
	}
	out = append(out, '[')
	for i, one := range services {
		if i > 0 {
			out = append(out, ',')
		}
		out = one.appendTo(out, prefix)
	}
	out = append(out, "]\n"...)
	return out, len(out)
}

// writeList writes through one buffer, and stops when the client is gone.
func writeList(w http.ResponseWriter, services []*Service, prefix string, out []byte) {
	out = append(out, '[')
	for i, one := range services {
		if i > 0 {
			out = append(out, ',')
		}
		body := one.represent(prefix).body
		if len(out)+len(body) > listBufferSize-3 {
			if _, err := w.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
		if len(body) > listBufferSize-3 {
			if _, err := w.Write(body); err != nil {
				return
			}
			continue
		}
		out = append(out, body...)
	}
	_, _ = w.Write(append(out, "]\n"...))
}
