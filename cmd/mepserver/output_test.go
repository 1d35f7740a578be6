package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/logs"
)

// slow takes what is printed, and is slower than who prints.
type slow struct{ bytes.Buffer }

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return s.Buffer.Write(p)
}

// The output of the process is a queue that drops what nobody takes: of ten thousand services a part
// was shown, and nothing said so.
func TestACommandPrintsAllOfItAndAServerWaitsForNobody(t *testing.T) {
	const rows = 20000
	for _, c := range []command{{name: "x", alone: true}, {name: "x", alone: true, serves: true}} {
		synctest.Test(t, func(t *testing.T) {
			var printed slow
			out := logs.NewQueue(&printed, nil)
			c.run = func(_ context.Context, p environment, _ conf.Config, _ given) error {
				for range rows {
					if _, err := fmt.Fprintln(p.out, "a row"); err != nil {
						return err
					}
				}
				return nil
			}
			began := time.Now()
			require.Zero(t, c.do(t.Context(), environment{args: []string{"x"}, out: out, errs: io.Discard}))
			if c.serves {
				require.Zero(t, time.Since(began), "of the bubble's clock")
			}
			require.True(t, out.Flush(time.Hour))
			require.Equal(t, !c.serves, strings.Count(printed.String(), "\n") == rows)
		})
	}
}
