package center

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/logs"
)

// sinkLines are the lines that a sink of service-center's has left.
func sinkLines(t *testing.T, out *strings.Builder) (all []map[string]any) {
	t.Helper()
	for l := range strings.Lines(out.String()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(l), &m), l)
		all = append(all, m)
	}
	return all
}

// A bulk heartbeat of 4,000 names, each unknown, was 1.9 MB of errors.
func TestARequestThatFailsForEachElementIsTwoLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		s := scLogSink{logs.NewRepeats(logs.New(&out, "INFO"))}
		for i := range 4000 {
			fmt.Fprintf(s, `{"level":"ERROR","time":"t","caller":"etcd/util.go:211","message":"heartbeat set failed, s%d/i%d","error":"Instance does not exist"}`+"\n", i, i)
		}
		s.log.Flush()
		got := sinkLines(t, &out)
		require.Len(t, got, 2)
		for _, m := range got {
			require.Equal(t, "WARN", m["level"], "a client's fault is no error")
			require.Equal(t, "etcd/util.go:211", m["at"])
		}
		require.EqualValues(t, 3999, got[1]["repeated"])
	})
}

// A panic was its stack in dozens of lines.
func TestAPanicOfServiceCenterIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		s := scLogSink{logs.NewRepeats(logs.New(&out, "INFO"))}
		fmt.Fprintf(s, "2026-01-02T03:04:05.006Z\tPANIC\tprometheus/counter.go:1\tlabel value \"\xff\" is not valid\nUTF-8\n%s\n", debug.Stack())
		fmt.Fprintln(s, `{"level":"PANIC","time":"t","caller":"c","message":"","recover":"x","stack":"y"}`)
		fmt.Fprintln(s, `{"level":"ERROR","caller":"servicecenter/mux.go:43","message":"panic in X: boom\ngoroutine 1 [running]:\nmain.f()\n\t/a/main/f.go:7 +0x1d\n"}`)
		s.log.Flush()
		got := sinkLines(t, &out)
		require.Len(t, got, 2)
		require.Equal(t, "ERROR", got[0]["level"])
		require.Contains(t, got[0]["msg"], "service-center panicked: label value")
		require.Contains(t, got[0]["stack"], "sink_test.go:")
		require.Equal(t, "panic in X: boom", got[1]["msg"])
		require.Equal(t, "main/f.go:7", got[1]["stack"])
	})
}

func TestNoBodyReachesTheLog(t *testing.T) {
	for in, want := range map[string]string{
		`invalid json: {"password":"hush"`:                                    "invalid json",
		"field 'A.B' invalid value 'hush' does not match rule: {Max: 1}":      "field 'A.B' invalid value does not match rule: {Max: 1}",
		"x. field 'A' invalid value 'hu' does not match' does not match rule": "x. field 'A' invalid value does not match rule",
		"field 'A' invalid value 'hush":                                       "field 'A' invalid value",
		"register instance failed, operator 127.0.0.1":                        "register instance failed, operator 127.0.0.1",
	} {
		require.Equal(t, want, withoutBody(in))
	}
}
