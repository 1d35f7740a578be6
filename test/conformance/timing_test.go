package conformance

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

const timingBase = mp1.AppSupportBase + "/timing"

func TestTIME_001_OK(t *testing.T) {
	p := begin(t, "7.2.5.3.1", "GET /timing/timing_caps: 200, a TimingCaps with its time stamp and the NTP servers and PTP masters that are configured")
	m := p.want(http.StatusOK, "GET", timingBase+"/timing_caps", "").Object(t)
	stamp := m["timeStamp"].(map[string]any)
	require.Positive(t, stamp["seconds"])
	require.Contains(t, stamp, "nanoSeconds")
	require.Equal(t, []any{
		map[string]any{"ntpServerAddrType": "DNS_NAME", "ntpServerAddr": "ntp.example", "minPollingInterval": 4., "maxPollingInterval": 17., "localPriority": 1.,
			"authenticationOption": "NONE", "authenticationKeyNum": 0.},
		map[string]any{"ntpServerAddrType": "IP_ADDRESS", "ntpServerAddr": "192.0.2.1", "minPollingInterval": 6., "maxPollingInterval": 10., "localPriority": 2.,
			"authenticationOption": "SYMMETRIC_KEY", "authenticationKeyNum": 7.},
	}, m["ntpServers"])
	require.Equal(t, []any{map[string]any{"ptpMasterIpAddress": "2001:db8::1", "ptpMasterLocalPriority": 1., "delayReqMaxRate": 10.}}, m["ptpMasters"])
}

func TestTIME_002_OK(t *testing.T) {
	p := begin(t, "7.2.6.3.1", "GET /timing/current_time: 200, a CurrentTime, TRACEABLE or NONTRACEABLE")
	m := p.want(http.StatusOK, "GET", timingBase+"/current_time", "").Object(t)
	require.Contains(t, []any{"TRACEABLE", "NONTRACEABLE"}, m["timeSourceStatus"])
	require.Positive(t, m["seconds"])
	require.Less(t, m["nanoSeconds"], 1e9)
}

func TestOWN_TheTimeIsTheHosts(t *testing.T) {
	p := begin(t, "7.1.2.5", "current_time is the time of the host, whoever asks, below /mep too; a query parameter: 400; another method: 405")
	for _, path := range []string{timingBase + "/current_time", "/mep" + timingBase + "/current_time"} {
		before := time.Now().Round(0)
		var now mp1.CurrentTime
		require.NoError(t, json.Unmarshal(p.want(http.StatusOK, "GET", path, "").Body, &now))
		at := time.Unix(int64(now.Seconds), int64(now.NanoSeconds))
		require.False(t, at.Before(before) || at.After(time.Now().Round(0)), "%s is not between %s and now", at, before)
		p.want(http.StatusBadRequest, "GET", path+"?zone=UTC", "")
		require.Equal(t, "GET, HEAD", p.want(http.StatusMethodNotAllowed, "POST", path, "{}").Header.Get("Allow"))
	}
}
