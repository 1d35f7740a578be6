package mepauth

import (
	"net/http"
	"net/http/httptest"
)

// recorder is an answer, or that there is none.
type recorder struct {
	*httptest.ResponseRecorder
	broken bool
}

func newRecorder() *recorder { return &recorder{ResponseRecorder: httptest.NewRecorder()} }

func (r *recorder) response() *http.Response { return r.Result() }
