package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/mec-liveness/mepserver/mp1"
)

// Timing names the sources of time that applications are told of. The server itself asks none
// of them.
type Timing struct {
	NTPServers []mp1.NTPServer
	PTPMasters []mp1.PTPMaster
}

// What MEC 011 allows as polling interval of an NTP server (§7.1.2.4), and what NTP itself takes
// where nothing is said (RFC 5905 §7.2 and its appendix).
const (
	leastPoll, mostPoll     = 3, 17
	defaultMin, defaultMax  = 6, 10
	defaultPriority         = 1
	defaultDelayReqsASecond = 1
)

// assignNTPServers takes entries in the words of ntp.conf: an address and what is said of it.
func assignNTPServers(p *[]mp1.NTPServer, words []string) error {
	var list []mp1.NTPServer
	for _, entry := range words {
		addr, said, ok := sourceWords(entry, map[string]uint32{"minpoll": defaultMin, "maxpoll": defaultMax, "priority": defaultPriority, "key": 0}, "autokey")
		key, auto := said["key"] > 0, said["autokey"] > 0
		if !ok || key && auto {
			return fmt.Errorf("must be NTP servers such as ntp.example or \"192.0.2.1 minpoll 4 maxpoll 10 priority 1 key 3\" (or autokey), not %s", shown(entry))
		}
		s := mp1.NTPServer{Addr: addr, AddrType: mp1.NTPDNSName, MinPollingInterval: said["minpoll"], MaxPollingInterval: said["maxpoll"],
			LocalPriority: said["priority"], AuthenticationOption: mp1.NTPNone, AuthenticationKeyNum: said["key"]}
		if _, err := netip.ParseAddr(addr); err == nil {
			s.AddrType = mp1.NTPIPAddress
		}
		if key {
			s.AuthenticationOption = mp1.NTPSymmetricKey
		} else if auto {
			s.AuthenticationOption = mp1.NTPAutoKey
		}
		list = append(list, s)
	}
	*p = list
	return nil
}

// assignPTPMasters takes entries of an IP address and what is said of it.
func assignPTPMasters(p *[]mp1.PTPMaster, words []string) error {
	var list []mp1.PTPMaster
	for _, entry := range words {
		addr, said, ok := sourceWords(entry, map[string]uint32{"priority": defaultPriority, "rate": defaultDelayReqsASecond})
		if !ok {
			return fmt.Errorf("must be PTP masters such as 192.0.2.1 or \"192.0.2.1 priority 1 rate 10\", not %s", shown(entry))
		}
		list = append(list, mp1.PTPMaster{IPAddress: addr, LocalPriority: said["priority"], DelayReqMaxRate: said["rate"]})
	}
	*p = list
	return nil
}

// sourceWords takes an entry apart: an address, and then names of said, each with its number, and
// flags, which become 1; each at most once. What is not there keeps the number of said. It is not
// ok if there is anything else.
func sourceWords(entry string, said map[string]uint32, flags ...string) (addr string, _ map[string]uint32, ok bool) {
	words := strings.Fields(entry)
	if len(words) == 0 {
		return "", said, false
	}
	given := map[string]bool{}
	for i := 1; i < len(words); i++ {
		name, number := words[i], "1"
		if _, known := said[name]; known {
			if i++; i == len(words) {
				return "", said, false
			}
			number = words[i]
		} else if !slices.Contains(flags, name) {
			return "", said, false
		}
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || given[name] || name == "key" && n == 0 {
			return "", said, false
		}
		given[name], said[name] = true, uint32(n)
	}
	return words[0], said, true
}

func (k checker) timing() {
	seen := map[string]bool{}
	for _, s := range k.Timing.NTPServers {
		k.sourceOfTime("timing.ntpServers", s.Addr, s.AddrType == mp1.NTPDNSName, seen)
		if s.MinPollingInterval < leastPoll || s.MaxPollingInterval > mostPoll || s.MinPollingInterval > s.MaxPollingInterval {
			k.fault("timing.ntpServers", "%s must have a minpoll and a maxpoll from %d to %d, the first not above the second, not %d and %d: they are powers of two, in seconds",
				shown(s.Addr), leastPoll, mostPoll, s.MinPollingInterval, s.MaxPollingInterval)
		}
		if (s.AuthenticationOption == mp1.NTPSymmetricKey) != (s.AuthenticationKeyNum > 0) {
			k.fault("timing.ntpServers", "%s must have the number of a key, from 1, if it has a key", shown(s.Addr))
		}
	}
	seen = map[string]bool{}
	for _, m := range k.Timing.PTPMasters {
		k.sourceOfTime("timing.ptpMasters", m.IPAddress, false, seen)
		if m.DelayReqMaxRate == 0 {
			k.fault("timing.ptpMasters", "%s must accept at least one Delay_Req message a second", shown(m.IPAddress))
		}
	}
}

// sourceOfTime holds an address to the rules: an IP address or, if that may be, a domain name,
// and once in its list.
func (k checker) sourceOfTime(path, addr string, named bool, seen map[string]bool) {
	ip, err := netip.ParseAddr(addr)
	switch {
	case named && len(addr) <= 253 && hostForm.MatchString(addr):
	case named:
		k.fault(path, "must have an IP address or a domain name first, not %s", shown(addr))
	case err != nil || ip.Zone() != "" || ip.IsUnspecified():
		k.fault(path, "must have an IP address that applications can reach first, not %s", shown(addr))
	}
	if seen[strings.ToLower(addr)] {
		k.fault(path, "must name %s once", shown(addr))
	}
	seen[strings.ToLower(addr)] = true
}
