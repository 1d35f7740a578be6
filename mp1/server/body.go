package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/mec-liveness/mepserver/mp1"
)

// beatBuffers has buffers one byte larger than the body of a heartbeat may be by default.
var beatBuffers = sync.Pool{New: func() any { b := make([]byte, 0, defaultMaxBeat+1); return &b }}

// readBeat reads and checks the body of a heartbeat. By default it allocates nothing: there
// are more heartbeats than all other requests together.
func (s *api) readBeat(w http.ResponseWriter, r *http.Request) error {
	if s.options.MaxBeat > defaultMaxBeat {
		body, err := readBody(w, r, s.options.MaxBeat)
		if err != nil {
			return err
		}
		return mp1.CheckLivenessUpdate(body)
	}
	if err := checkMediaType(r); err != nil {
		return err
	}
	if r.ContentLength > s.options.MaxBeat {
		return errTooLarge
	}
	buf := beatBuffers.Get().(*[]byte)
	defer beatBuffers.Put(buf)
	n, err := readFull(r.Body, (*buf)[:s.options.MaxBeat+1])
	switch {
	case err == nil:
		return errTooLarge
	case !errors.Is(err, io.EOF):
		return errBody
	}
	return mp1.CheckLivenessUpdate((*buf)[:n])
}

// readFull reads until the buffer is full, which is no error, or the body ends. io.ReadFull
// cannot be used: its error is the same for a body that was cut off and for a short one.
func readFull(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var more int
		more, err = r.Read(b[n:])
		n += more
	}
	if n == len(b) {
		return n, nil
	}
	return n, err
}

// ReadBody is how the handlers of this package read a body, of up to most bytes, for those who
// serve other resources. Its errors are for RefuseError.
func ReadBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	return readBody(w, r, most)
}

// readBody checks the type of a body and reads it, up to most bytes.
func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	return readBodyBy(w, r, most, io.ReadAll)
}

// readBodyInto is readBody into memory that is used again.
func readBodyInto(to *bytes.Buffer, w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	return readBodyBy(w, r, most, func(body io.Reader) ([]byte, error) {
		to.Reset()
		_, err := to.ReadFrom(body)
		return to.Bytes(), err
	})
}

func readBodyBy(w http.ResponseWriter, r *http.Request, most int64, read func(io.Reader) ([]byte, error)) ([]byte, error) {
	if err := checkMediaType(r); err != nil {
		return nil, err
	}
	if r.ContentLength > most {
		return nil, errTooLarge
	}
	b, err := read(http.MaxBytesReader(w, r.Body, most))
	var large *http.MaxBytesError
	var over *OverLimit
	if err != nil && !errors.As(err, &large) && !errors.As(err, &over) {
		return nil, errBody
	}
	return b, err
}

// checkMediaType accepts JSON of any kind, */*, and no type at all, not coded in any way.
func checkMediaType(r *http.Request) error {
	if coding := r.Header["Content-Encoding"]; len(coding) > 0 && (len(coding) > 1 || !strings.EqualFold(coding[0], "identity")) {
		return errCoding
	}
	values := r.Header["Content-Type"]
	if len(values) == 0 || len(values) == 1 && values[0] == "application/json" {
		return nil
	}
	if len(values) > 1 {
		return errMediaType
	}
	kind, _, _ := strings.Cut(values[0], ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if kind == "" || kind == "application/json" || kind == "*/*" || strings.HasSuffix(kind, "+json") {
		return nil
	}
	return errMediaType
}
