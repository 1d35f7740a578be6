package agent

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestTheOrderOfStartingDoesNotMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		f.answer = func(*http.Request, int) said { return said{err: refusedDial()} }
		r := run(t, options(f, 20))
		pass(time.Hour)
		n := len(f.of("GET", "")) + len(f.registers())
		require.Less(t, n, 200, "it backs off")
		require.False(t, r.Ready())
		require.Equal(t, "searching", r.Status()[0].State)
		f.answers(nil)
		pass(mostRegister)
		require.True(t, r.Ready())
		require.Len(t, f.all(), 20)
		require.NoError(t, r.stop())
	})
}

// A registration whose answer is lost may have been carried out.
func TestARegistrationIsNotDoubledWhenItsAnswerIsLost(t *testing.T) {
	for name, lose := range map[string]func() said{
		"reset": func() said { return said{err: io.ErrUnexpectedEOF} },
		"503":   func() said { return says(503, nil, "Retry-After", "1") },
		"504":   func() said { return says(504, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(10)
				var lost atomic.Int32
				f.answer = func(r *http.Request, _ int) said {
					if r.Method == http.MethodPost && lost.Add(1) <= 3 {
						body, _ := io.ReadAll(mustBody(r))
						f.mu.Lock()
						defer f.mu.Unlock()
						_ = f.platform(r, body).Body.Close()
						return lose()
					}
					return said{}
				}
				r := run(t, options(f, 3))
				pass(time.Minute)
				require.Len(t, f.all(), 3)
				require.Len(t, f.registers(), 3)
				require.True(t, r.Ready())
				require.NoError(t, r.stop())
				require.Empty(t, f.all())
			})
		})
	}
}

func mustBody(r *http.Request) io.Reader {
	b, err := r.GetBody()
	if err != nil {
		panic(err)
	}
	return b
}

func TestAnAnswerWithoutAnIDIsNoRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(10)
		n := 0
		f.answer = func(r *http.Request, _ int) said {
			if r.Method == http.MethodPost && n < 2 {
				n++
				return says(201, mp1.ServiceInfo{})
			}
			return said{}
		}
		r := run(t, options(f, 1))
		require.Contains(t, r.Status()[0].LastAnswer, "no serInstanceId")
		pass(interval)
		require.True(t, r.Ready())
		require.Len(t, f.registers(), 3)
		require.NoError(t, r.stop())
	})
}
