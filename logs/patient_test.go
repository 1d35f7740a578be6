package logs

import (
	"bytes"
	"context"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// slow takes so many writes, each of them slowly, and then fails.
type slow struct {
	bytes.Buffer
	takes int
	fails error
}

func (r *slow) Write(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	if r.takes--; r.takes < 0 {
		return 0, r.fails
	}
	return r.Buffer.Write(p)
}

// hanging never takes anything.
type hanging chan struct{}

func (h hanging) Write(p []byte) (int, error) { <-h; return len(p), nil }

// A table of ten thousand rows is far more than a queue holds.
func TestWhatIsPrintedPatientlyIsAllThere(t *testing.T) {
	for name, text := range map[string][]string{
		"many lines": strings.SplitAfter(strings.Repeat("a row of a table\n", 5*maxLines), "\n"),
		"one write":  {strings.Repeat("x", 5*maxBytes)},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &slow{takes: 1 << 20}
			q := NewQueue(r, nil)
			p := q.Patient(t.Context())
			for _, line := range text {
				_, err := io.WriteString(p, line)
				require.NoError(t, err)
			}
			require.NoError(t, p.Wait())
			require.Zero(t, q.Dropped(), name)
			require.Equal(t, strings.Join(text, ""), r.String(), name)
		})
	}
}

func TestWhoPrintsIsToldThatNobodyTakesIt(t *testing.T) {
	for fails, want := range map[error]error{syscall.EPIPE: ErrClosed, syscall.ENOSPC: errNotTaken} {
		synctest.Test(t, func(t *testing.T) {
			p := NewQueue(&slow{takes: 2, fails: fails}, nil).Patient(t.Context())
			var err error
			for err == nil {
				_, err = io.WriteString(p, "a row\n")
			}
			require.ErrorIs(t, err, want)
			require.ErrorIs(t, p.Wait(), want)
		})
	}
}

// Ctrl-C ends a command also while nobody reads.
func TestWhoIsStoppedDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(hanging)
		q := NewQueue(never, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		p := q.Patient(ctx)
		n, err := p.Write(make([]byte, 3*maxBytes))
		require.NoError(t, err)
		require.Equal(t, 3*maxBytes, n)
		require.NoError(t, p.Wait())
		require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
		close(never)
	})
}
