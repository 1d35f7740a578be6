package client

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestThePlatformTellsItsTimeAndWhereToGetIt(t *testing.T) {
	p := newFakePlatform(t, respond(200, `{"seconds":1577836800,"nanoSeconds":5,"timeSourceStatus":"TRACEABLE"}`))
	now, err := p.client(t, "/mep").CurrentTime(t.Context())
	require.NoError(t, err)
	require.Equal(t, "GET /mep/mec_app_support/v1/timing/current_time", p.method+" "+p.uri)
	require.Equal(t, mp1.CurrentTime{TimeStamp: mp1.TimeStamp{Seconds: 1577836800, NanoSeconds: 5}, TimeSourceStatus: mp1.Traceable}, now)

	p = newFakePlatform(t, respond(200, `{"timeStamp":{"seconds":1,"nanoSeconds":2},"ntpServers":[{"ntpServerAddrType":"DNS_NAME","ntpServerAddr":"ntp.example"}],"ptpMasters":[]}`))
	caps, err := p.client(t, "").TimingCaps(t.Context())
	require.NoError(t, err)
	require.Equal(t, "GET /mec_app_support/v1/timing/timing_caps", p.method+" "+p.uri)
	require.Equal(t, "ntp.example", caps.NTPServers[0].Addr)
	require.EqualValues(t, 1, caps.TimeStamp.Seconds)
}
