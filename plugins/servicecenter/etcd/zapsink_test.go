package etcd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/mec-liveness/mepserver/logs"
)

func TestTheLastWordsOfTheStoreAreAnError(t *testing.T) {
	var out strings.Builder
	l := zap.New(zapSink{logs.NewRepeats(logs.New(&out, "INFO"))}, zap.WithFatalHook(zapcore.WriteThenPanic))
	l.Info("not shown")
	for m := range harmlessLines {
		l.Error(m)
	}
	require.Empty(t, out.String())
	l.Error("writeAt failed", zap.Error(errFull{}))
	require.Panics(t, func() { l.Fatal("failed to commit tx", zap.Error(errFull{})) })
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], `"level":"WARN"`)
	require.Contains(t, lines[1], `"level":"ERROR","msg":"the store cannot go on: failed to commit tx"`)
	require.Contains(t, lines[1], "no space left")
}

type errFull struct{}

func (errFull) Error() string { return "no space left on device" }
