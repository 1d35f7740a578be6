package mp1

import "math"

// TimeSourceStatus says whether the clock of the platform is locked to UTC (§7.1.2.5).
type TimeSourceStatus string

// What the clock of the platform can be.
const (
	Traceable    TimeSourceStatus = "TRACEABLE"    // locked to a source of UTC
	NonTraceable TimeSourceStatus = "NONTRACEABLE" // not locked to one, or not known to be
)

// CurrentTime is the time of the platform (§7.1.2.5).
type CurrentTime struct {
	TimeStamp
	TimeSourceStatus TimeSourceStatus `json:"timeSourceStatus"`
}

// TimingCaps says where applications can get the time from (§7.1.2.4). No list is ever null.
type TimingCaps struct {
	TimeStamp  TimeStamp   `json:"timeStamp"` // when this was said
	NTPServers []NTPServer `json:"ntpServers"`
	PTPMasters []PTPMaster `json:"ptpMasters"`
}

// NTPServer is a server of the Network Time Protocol.
type NTPServer struct {
	AddrType NTPAddrType `json:"ntpServerAddrType"`
	Addr     string      `json:"ntpServerAddr"` // an IP address or a domain name
	// MinPollingInterval and MaxPollingInterval bound the time between two requests of a
	// client: seconds as a power of two, from 3 (8 s) to 17 (36 h).
	MinPollingInterval uint32 `json:"minPollingInterval"`
	MaxPollingInterval uint32 `json:"maxPollingInterval"`
	LocalPriority      uint32 `json:"localPriority"` // among the servers of the list
	// AuthenticationKeyNum names the key of SYMMETRIC_KEY; with others it is 0.
	AuthenticationOption NTPAuthentication `json:"authenticationOption"`
	AuthenticationKeyNum uint32            `json:"authenticationKeyNum"`
}

// NTPAddrType says what NTPServer.Addr is.
type NTPAddrType string

// What the address of an NTP server can be.
const (
	NTPIPAddress NTPAddrType = "IP_ADDRESS"
	NTPDNSName   NTPAddrType = "DNS_NAME"
)

// NTPAuthentication says how clients and an NTP server prove who they are.
type NTPAuthentication string

// How clients and an NTP server can prove who they are.
const (
	NTPNone         NTPAuthentication = "NONE"
	NTPSymmetricKey NTPAuthentication = "SYMMETRIC_KEY"
	NTPAutoKey      NTPAuthentication = "AUTO_KEY"
)

// PTPMaster is a master of the Precision Time Protocol (IEEE 1588).
type PTPMaster struct {
	IPAddress       string `json:"ptpMasterIpAddress"`
	LocalPriority   uint32 `json:"ptpMasterLocalPriority"` // among the masters of the list
	DelayReqMaxRate uint32 `json:"delayReqMaxRate"`        // Delay_Req messages a second that it accepts
}

// TimeStampOf is a time in Unix nanoseconds as MEC 011 writes it. What 32 bits of seconds cannot
// hold, before 1970 or after 2106, becomes the nearest that they can.
func TimeStampOf(unixNano int64) TimeStamp {
	const second = 1_000_000_000
	switch seconds := unixNano / second; {
	case unixNano < 0:
		return TimeStamp{}
	case seconds > math.MaxUint32:
		return TimeStamp{Seconds: math.MaxUint32}
	default:
		return TimeStamp{Seconds: uint32(seconds), NanoSeconds: uint32(unixNano % second)}
	}
}
