package conf

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSourcesOfTimeAreWrittenAsNTPsOwnFilesAre(t *testing.T) {
	c, err := Load(fromYAML(`
timing:
  ntpServers: [ntp.example, 192.0.2.1 minpoll 3 maxpoll 17 priority 0 key 7, "2001:db8::1 autokey"]
  ptpMasters: [192.0.2.2, "2001:db8::2 rate 64  priority 3"]
`))
	require.NoError(t, err)
	b, err := json.Marshal(c.Timing.NTPServers)
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"ntpServerAddrType":"DNS_NAME","ntpServerAddr":"ntp.example","minPollingInterval":6,"maxPollingInterval":10,"localPriority":1,"authenticationOption":"NONE","authenticationKeyNum":0},
		{"ntpServerAddrType":"IP_ADDRESS","ntpServerAddr":"192.0.2.1","minPollingInterval":3,"maxPollingInterval":17,"localPriority":0,"authenticationOption":"SYMMETRIC_KEY","authenticationKeyNum":7},
		{"ntpServerAddrType":"IP_ADDRESS","ntpServerAddr":"2001:db8::1","minPollingInterval":6,"maxPollingInterval":10,"localPriority":1,"authenticationOption":"AUTO_KEY","authenticationKeyNum":0}]`, string(b))
	b, err = json.Marshal(c.Timing.PTPMasters)
	require.NoError(t, err)
	require.JSONEq(t, `[{"ptpMasterIpAddress":"192.0.2.2","ptpMasterLocalPriority":1,"delayReqMaxRate":1},
		{"ptpMasterIpAddress":"2001:db8::2","ptpMasterLocalPriority":3,"delayReqMaxRate":64}]`, string(b))

	fromEnviron, err := Load(Sources{Environ: []string{"MEP_TIMING_NTP_SERVERS=ntp.example, 192.0.2.1 minpoll 3 maxpoll 17 priority 0 key 7,2001:db8::1 autokey",
		"MEP_TIMING_PTP_MASTERS=192.0.2.2,2001:db8::2 rate 64  priority 3"}})
	require.NoError(t, err)
	require.Equal(t, c.Timing, fromEnviron.Timing)
}

func TestASourceOfTimeThatNobodyCouldUseIsAFault(t *testing.T) {
	const server, master = "must be NTP servers such as", "must be PTP masters such as"
	for entry, want := range map[string]string{
		`ntpServers: [""]`:                            server,
		`ntpServers: [ntp.example minpoll]`:           server,
		`ntpServers: [ntp.example minpoll six]`:       server,
		`ntpServers: [ntp.example minpoll -6]`:        server,
		`ntpServers: [ntp.example iburst]`:            server,
		`ntpServers: [ntp.example key 0]`:             server,
		`ntpServers: [ntp.example key 4294967296]`:    server,
		`ntpServers: [ntp.example key 3 autokey]`:     server,
		`ntpServers: [ntp.example key 3 key 4]`:       server,
		`ntpServers: [ntp.example autokey autokey]`:   server,
		`ntpServers: [ntp.example minpoll 2]`:         "must have a minpoll and a maxpoll from 3 to 17",
		`ntpServers: [ntp.example maxpoll 18]`:        "must have a minpoll and a maxpoll from 3 to 17",
		`ntpServers: [ntp.example maxpoll 5]`:         "the first not above the second, not 6 and 5",
		`ntpServers: ["a\u202eb"]`:                    "must have an IP address or a domain name first",
		`ntpServers: ["http://ntp.example"]`:          "must have an IP address or a domain name first",
		`ntpServers: ["ntp.example:123"]`:             "must have an IP address or a domain name first",
		`ntpServers: ["0.0.0.0"]`:                     "must have an IP address that applications can reach first",
		`ntpServers: ["fe80::1%eth0"]`:                "must have an IP address that applications can reach first",
		`ntpServers: [ntp.example, NTP.example]`:      `must name "NTP.example" once`,
		`ptpMasters: [ptp.example]`:                   "must have an IP address that applications can reach first",
		`ptpMasters: [192.0.2.1 rate 0]`:              "must accept at least one Delay_Req message a second",
		`ptpMasters: [192.0.2.1 minpoll 6]`:           master,
		`ptpMasters: [192.0.2.1, 192.0.2.1 priority]`: master,
		`ptpMasters: [192.0.2.1, 192.0.2.1 rate 2]`:   `must name "192.0.2.1" once`,
	} {
		lines := faultLines(t, fromYAML("timing: {"+entry+"}\n"))
		require.Len(t, lines, 1, entry)
		require.Contains(t, lines[0], "m.yaml:1: timing.", entry)
		require.Contains(t, lines[0], want, entry)
	}
}
