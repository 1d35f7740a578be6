package server

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
)

// Unread is what the handlers need of whoever bounds the memory of answers that their
// readers do not take.
type Unread interface {
	// Hold takes so many bytes until release is called; not ok: there are not as many.
	Hold(bytes int64) (release func(), ok bool)
}

// ErrUnread refuses an answer for which there is no memory until others are read.
var ErrUnread = errors.New("too much of other answers is waiting to be read")

// pieceSize is of the only memory that a list needs for each of its readers, beside the
// pointers to what it shows: the services are encoded once for all of them.
const listBufferSize = 8 << 10

var listBuffers = sync.Pool{New: func() any { b := make([]byte, 0, listBufferSize); return &b }}

const (
	pointerSize = 8
	readerCost  = 2 * listBufferSize // with what the server keeps for a request
)

// readers counts who reads each list, so that one which many share is held once.
type sharedLists struct {
	mu      sync.Mutex
	byFirst map[**Service]*sharedList // by where the list begins
}

type sharedList struct {
	readers int
	release func()
}

// hold takes what one more reader of the list costs.
func (rs *sharedLists) reserve(u Unread, services []*Service) (release func(), ok bool) {
	if len(services) == 0 {
		return u.Hold(readerCost)
	}
	own, ok := u.Hold(readerCost)
	if !ok {
		return nil, false
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	key := &services[0]
	l := rs.byFirst[key]
	if l == nil {
		shared, ok := u.Hold(pointerSize * int64(len(services)))
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

// answerList writes the services as a JSON array, piece by piece, out of their encodings.
func (s *api) writeServices(w http.ResponseWriter, r *http.Request, services []*Service, prefix string) error {
	if s.options.Unread != nil {
		release, ok := s.readers.reserve(s.options.Unread, services)
		if !ok {
			return ErrUnread
		}
		defer release()
	}
	size := 3 + max(len(services)-1, 0)
	for _, one := range services {
		size += len(one.represent(prefix).body)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(size))
	setSecurityHeaders(h)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	writeList(w, services, prefix)
	return nil
}

// writeList writes until the reader is gone.
func writeList(w http.ResponseWriter, services []*Service, prefix string) {
	piece, _ := listBuffers.Get().(*[]byte)
	defer func() { *piece = (*piece)[:0]; listBuffers.Put(piece) }()
	out := append((*piece)[:0], '[')
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
