package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/bench/report"
	"github.com/mec-liveness/mepserver/test/bench/suite"
	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
)

// The test binary is also the bare server that the suite starts.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "bare" {
		fmt.Fprintln(os.Stderr, serveBare(context.Background(), os.Args[2], os.Args[3]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func quickly(t *testing.T) suite.Config {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return suite.Config{Out: t.Output(), Self: os.Args[0], Certificate: certificate, Command: "go test", Seed: seed, Quick: true, Files: filepath.Join(t.TempDir(), "performance")}
}

// Every measure runs, at sizes that say nothing of any time, and the report has a figure, its
// plots and its distributions.
func TestEveryMeasureStillRuns(t *testing.T) {
	tier.Long(t, "test/bench", "runs the whole suite, at its small sizes")
	built.Depend()
	c := quickly(t)
	c.Million = true
	text, err := suite.Run(t.Context(), c)
	require.NoError(t, err)
	lines := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| measure |") {
			continue
		}
		lines++
		assert.True(t, strings.Contains(line, "| not judged |") || isExcused(line), "%s", line)
		assert.NotContains(t, line, "NaN")
	}
	assert.Equal(t, suite.Rows(), lines, "one line for each row that the suite lists")
	for _, name := range []string{"beats.svg", "beating.svg", "one-death-embedded.svg", "mass.svg"} {
		b, err := os.ReadFile(filepath.Join(c.Files, name))
		require.NoError(t, err)
		wellFormed(t, b)
		assert.Contains(t, text, "(performance/"+name+")")
	}
	b, err := os.ReadFile(filepath.Join(c.Files, "histograms.hlog"))
	require.NoError(t, err)
	r, kept := hdrhistogram.NewHistogramLogReader(bytes.NewReader(b)), 0
	for {
		h, err := r.NextIntervalHistogram()
		require.NoError(t, err)
		if h == nil {
			break
		}
		assert.Positive(t, h.TotalCount())
		kept++
	}
	assert.GreaterOrEqual(t, kept, 8)
}

// isExcused is for what is not there: etcd where it cannot be built, and batches where the server
// has none.
func isExcused(line string) bool {
	return strings.Contains(line, "its modules cannot be fetched") || strings.Contains(line, "does not offer batches")
}

func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
	}
}

// -base measures a server of somebody else by Mp1 alone, and leaves nothing there.
func TestAServerOfSomebodyElseIsMeasuredAndLeftAsItWas(t *testing.T) {
	tier.Long(t, "test/bench", "builds and measures a server")
	built.Depend()
	remove, err := mep.Build()
	require.NoError(t, err)
	t.Cleanup(remove)
	s := mep.Start(t)
	c := quickly(t)
	c.Base, c.Transport, c.App = s.URL, http.DefaultTransport, "bench"
	text, err := suite.Run(t.Context(), c)
	require.NoError(t, err)
	assert.Contains(t, text, "| PATCH/s beside bare net/http, 32 connections |")
	shown, err := s.Discover()
	require.NoError(t, err)
	assert.Empty(t, shown)
}

// What was registered is removed again also when not all of it was.
func TestAServerThatRefusesSomeRegistrationsIsLeftAsItWas(t *testing.T) {
	for _, taken := range []int{0, 1, 7} {
		var mu sync.Mutex
		there, asked := map[string]bool{}, 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case r.Method == http.MethodPost && asked < taken:
				asked++
				id := fmt.Sprint("id", asked)
				there[id] = true
				link := fmt.Sprintf(`,"_links":{"liveness":{"href":"/beat/%s"}}`, id)
				if asked == 1 {
					link = "" // as a server answers that knows no heartbeats
				}
				w.WriteHeader(http.StatusCreated)
				_, _ = fmt.Fprintf(w, `{"serInstanceId":%q%s}`, id, link)
			case r.Method == http.MethodDelete && there[path.Base(r.URL.Path)]:
				delete(there, path.Base(r.URL.Path))
				w.WriteHeader(http.StatusNoContent)
			default:
				w.WriteHeader(http.StatusForbidden)
			}
		}))
		c := quickly(t)
		c.Base, c.Transport, c.App = s.URL, http.DefaultTransport, "bench"
		_, err := suite.Run(t.Context(), c)
		s.Close()
		require.ErrorContains(t, err, "registrations: ")
		assert.Equal(t, taken, asked)
		assert.Empty(t, there, "of %d", taken)
	}
}

func TestWhatIsNoMeasureIsRefused(t *testing.T) {
	c := quickly(t)
	c.Only = []string{"beats", "beets"}
	_, err := suite.Run(t.Context(), c)
	require.ErrorContains(t, err, `no measure is named "beets"`)
}

func TestTheDocumentKeepsWhatIsWrittenByHand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "performance.md")
	by := "# By hand\n\n" + report.Begin + "\nold\n" + report.End + "\n\nand more\n"
	require.NoError(t, os.WriteFile(path, []byte(by), 0o600))
	require.NoError(t, writeInto(path, "new\n"))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "# By hand\n\n"+report.Begin+"\nnew\n"+report.End+"\n\nand more\n", string(b))
	require.NoError(t, os.WriteFile(path, []byte("# no markers\n"), 0o600))
	require.ErrorContains(t, writeInto(path, "new\n"), "markers")
}

func TestARunWhoseTimeIsOverSaysWhatItHasNotMeasured(t *testing.T) {
	c := quickly(t)
	c.Base, c.Most = "http://127.0.0.1:1", 1
	text, err := suite.Run(t.Context(), c)
	require.ErrorContains(t, err, "the run was ended before")
	assert.Equal(t, 5, strings.Count(text, "| not measured: the run was ended before |"), "%s", text)
}
