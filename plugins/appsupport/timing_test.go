package appsupport

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

func timingAt(wall int64, locked bool, err error) *timing {
	return &timing{clock: func() (plugins.Instant, int64) { return 1, wall }, synchronised: func() (bool, error) { return locked, err }}
}

func TestTheTimeIsTraceableOnlyIfTheKernelSaysSo(t *testing.T) {
	for _, tt := range []struct {
		locked bool
		err    error
		want   mp1.TimeSourceStatus
	}{
		{true, nil, mp1.Traceable},
		{false, nil, mp1.NonTraceable},
		{true, errors.New("operation not permitted"), mp1.NonTraceable},
	} {
		got := timingAt(1577836800_000000005, tt.locked, tt.err).CurrentTime()
		require.Equal(t, mp1.CurrentTime{TimeStamp: mp1.TimeStamp{Seconds: 1577836800, NanoSeconds: 5}, TimeSourceStatus: tt.want}, got)
	}
}

func TestTheSourcesOfTimeAreToldAsConfigured(t *testing.T) {
	time := timingAt(1577836800_000000005, true, nil)
	b, err := json.Marshal(time.TimingCaps())
	require.NoError(t, err)
	require.JSONEq(t, `{"timeStamp":{"seconds":1577836800,"nanoSeconds":5},"ntpServers":[],"ptpMasters":[]}`, string(b))

	time.sources = conf.Timing{NTPServers: []mp1.NTPServer{{Addr: "ntp.example"}}, PTPMasters: []mp1.PTPMaster{{IPAddress: "192.0.2.1"}}}
	caps := time.TimingCaps()
	require.Equal(t, time.sources.NTPServers, caps.NTPServers)
	require.Equal(t, time.sources.PTPMasters, caps.PTPMasters)
}

func TestTheKernelIsAskedAndAFailureIsSaidOnce(t *testing.T) {
	var log bytes.Buffer
	time := newTiming(conf.Timing{}, plugins.NewLog(&log, "INFO"))
	_, err := time.synchronised()
	require.Equal(t, err != nil, bytes.Contains(log.Bytes(), []byte("NONTRACEABLE")), log.String())
	now := time.CurrentTime()
	require.NotZero(t, now.Seconds)
	require.Less(t, now.NanoSeconds, uint32(1e9))
}
