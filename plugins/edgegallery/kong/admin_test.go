package kong

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzLists has Kong's lists hold anything: nothing but names of entries comes out of them, and no
// path of a request is made of them.
func FuzzLists(f *testing.F) {
	for _, s := range []string{`{"data":[{"id":"1","name":"face","service":{"id":"1"}}]}`, `{"data":null,"offset":"x"}`, `{"data":[{"id":"../x","name":"jwt","service":null}]}`, `[]`, `{"data":[{"service":{"id":1}}]}`, ``} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var paths []string
		a := &admin{base: "http://kong", done: func(error) {}, web: &http.Client{Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			paths = append(paths, r.URL.EscapedPath())
			if len(paths) > 20 {
				body = "{}"
			}
			_, _ = w.Write([]byte(body))
		})}}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, _ = a.published(ctx)
		_ = a.remove(ctx, "face0123456789abcdef0123")
		for _, p := range paths {
			if strings.Contains(p, "..") || strings.ContainsAny(p, "%?# ") {
				t.Fatalf("%q asks for %q", body, p)
			}
		}
	})
}

// An answer without an end fills no memory.
func TestAnEndlessAnswerIsCutOff(t *testing.T) {
	a := &admin{base: "http://kong", done: func(error) {}, web: &http.Client{Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"data":[` + strings.Repeat(" ", maxPage)))
	})}}}
	_, err := a.published(t.Context())
	require.ErrorContains(t, err, "larger than")
	pages := 0
	a.web = &http.Client{Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		pages++
		_, _ = w.Write([]byte(`{"data":[],"offset":"again"}`))
	})}}
	_, err = a.published(t.Context())
	require.ErrorContains(t, err, "no end")
	require.Equal(t, maxPages, pages)
}
