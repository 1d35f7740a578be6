package rfc2136

import (
	"encoding/hex"
	"fmt"
	"math/big"

	"github.com/miekg/dns"
)

// refused is the reason that an administrator sees when the server said no to an update.
func (s *session) refused(r *dns.Msg) error {
	if tsig := r.IsTsig(); tsig != nil && tsig.Error != dns.RcodeSuccess && s.key != nil {
		return fmt.Errorf("the DNS server %s does not take our signature: %s", s.server, s.tsigReason(tsig))
	}
	if r.Rcode == dns.RcodeYXRrset { // there is one prerequisite: no alias
		return s.alias()
	}
	return fmt.Errorf("the DNS server %s refuses the update: %s", s.server, s.reason(r.Rcode))
}

// tsigReason is what a server has against a signature (RFC 8945 §5.2).
func (s *session) tsigReason(t *dns.TSIG) string {
	switch t.Error {
	case dns.RcodeBadKey:
		return fmt.Sprintf("BADKEY, it does not know the TSIG key %s with the algorithm %s", s.key.name, s.key.algorithm)
	case dns.RcodeBadSig:
		return fmt.Sprintf("BADSIG, its TSIG key %s has another secret than rules.dns.tsigKeyFile", s.key.name)
	case dns.RcodeBadTime:
		return "BADTIME, " + s.skew(t)
	case dns.RcodeBadTrunc:
		return "BADTRUNC, it wants another length of signatures"
	}
	return fmt.Sprintf("TSIG error %d", t.Error)
}

// skew says by how much the clocks differ: the server's is in the answer (RFC 8945 §5.2.3).
func (s *session) skew(t *dns.TSIG) string {
	const differ = "the clocks of the two machines differ"
	theirs, err := hex.DecodeString(t.OtherData)
	if err != nil || len(theirs) != 6 {
		return differ + " by more than it allows"
	}
	seconds := new(big.Int).SetBytes(theirs).Int64() - int64(t.TimeSigned) //nolint:gosec // has 48 bits
	side := "ahead of"
	if seconds < 0 {
		side, seconds = "behind", -seconds
	}
	return fmt.Sprintf("%s: that of the DNS server is %d s %s ours", differ, seconds, side)
}

// reason is what a code of an answer to an update means (RFC 2136 §2.2).
func (s *session) reason(rcode int) string {
	switch rcode {
	case dns.RcodeFormatError:
		return "FORMERR, it did not understand it"
	case dns.RcodeServerFailure:
		return "SERVFAIL, it failed; its log says why"
	case dns.RcodeNotImplemented:
		return "NOTIMP, it takes no dynamic updates"
	case dns.RcodeRefused:
		return "REFUSED, it does not let us change this name; see its allow-update, update-policy or check-names"
	case dns.RcodeNotAuth:
		return fmt.Sprintf("NOTAUTH, it is not authoritative for the zone %s, or it does not take our key", s.zone)
	case dns.RcodeNotZone:
		return fmt.Sprintf("NOTZONE, the name is not in its zone %s", s.zone)
	}
	if name, known := dns.RcodeToString[rcode]; known {
		return name
	}
	return fmt.Sprintf("code %d", rcode)
}

// alias is the reason why a name can have no address.
func (s *session) alias() error {
	return fmt.Errorf("the name is an alias (CNAME) in the zone %s, which can have no address; remove it there", s.zone)
}
