package mutants

const parts, certificates = "plugins", "plugins/certs"

// tlsMutants are defects in what guards connections, and in what is read of certificates.
var tlsMutants = []mutant{
	{name: "a session outlives the authority of its certificate", file: parts + "/tls.go",
		old: `if clients != s.current.clients {`, new: `if s.current.clients == nil {`,
		pkg: parts, run: "TestSessionsDoNotOutlive"},
	{name: "a connection outlives the authority of its certificate", file: parts + "/tls.go",
		old: `if c == nil || c.trusted.Load() == clients {`, new: `if c == nil || c.trusted.Load() != nil {`,
		pkg: parts, run: "TestAConnectionEndsWithTheAuthority"},
	{name: "a new certificate needs a restart", file: parts + "/tls.go",
		old: `if s.current.pair != pair || s.current.clients != clients {`, new: `if s.current.pair == nil {`,
		pkg: parts, run: "TestANewCertificateNeedsNoRestart"},
	{name: "one peer's handshakes come first", file: parts + "/handshakes.go",
		old: `h.peers = append(h.peers[1:], peer)`, new: `_ = append(h.peers[1:], peer)`,
		pkg: parts, run: "TestHandshakesOfPeersTakeTurns"},
	{name: "a handshake that gave up keeps its turn", file: parts + "/handshakes.go",
		old: `	if at < 0 { // the turn came at the same moment
		h.release()
	}`, new: `	_ = at`,
		pkg: parts, run: "TestAHandshakeThatGivesUp"},
	{name: "one address has any number of handshakes", file: parts + "/paces.go",
		old: `p.due[peer] = due + p.interval`, new: `p.due[peer] = due`,
		pkg: parts, run: "TestHandshakesOfOnePeerArePaced"},
	{name: "addresses wait for one another", file: parts + "/paces.go",
		old: `due := max(p.due[peer], now)`, new: `due := max(p.due["flood"], now)`,
		pkg: parts, run: "TestHandshakesOfOnePeerArePaced"},
	{name: "an address that is forgotten gets more", file: parts + "/paces.go",
		old: `if due <= now {`, new: `if due >= now {`,
		pkg: parts, run: "TestPacesForgetWhoHasPaused"},
	{name: "handshakes for which there is no room are refused at once", file: parts + "/handshakes.go",
		old: `		<-ctx.Done()
		return errBusy
	}
	due :=`, new: `		return errBusy
	}
	due :=`,
		pkg: parts, run: "TestAHandshakeForWhichThereIsNoRoom"},
	{name: "requests of one connection do not count", file: parts + "/streams.go",
		old: `	l.streams.Add(1)
`, new: ``,
		pkg: parts, run: "TestRequestsOfOneConnectionCount|TestStreamsAreCounted"},
	{name: "what a closed connection counted stays", file: parts + "/streams.go",
		old: `if n := c.requests.Swap(closedStreams); n > 1 {`, new: `if n := c.requests.Swap(closedStreams); false && n > 1 {`,
		pkg: parts, run: "TestStreamsAreCounted"},
	{name: "an expired certificate is served", file: certificates + "/pair.go",
		old: `case now.After(c.NotAfter):`, new: `case false && now.After(c.NotAfter):`,
		pkg: certificates, run: "TestAPairThatNoClientTakes"},
	{name: "a certificate without a name is served", file: certificates + "/pair.go",
		old: `if p.Server && !p.Lenient && Nameless(c) {`, new: `if false {`,
		pkg: certificates, run: "TestAPairThatNoClientTakes"},
	{name: "a certificate without a name is refused in EdgeGallery's environment", file: certificates + "/pair.go",
		old: `if p.Server && !p.Lenient && Nameless(c) {`, new: `if p.Server && Nameless(c) {`,
		pkg: certificates, run: "TestWhatEdgeGallerysInstallerMakes"},
	{name: "the key of another certificate is taken", file: certificates + "/pair.go",
		old: `	case at < 0:`, new: `	case at < -1:`,
		pkg: certificates, run: "TestAPairThatNoClientTakes"},
	{name: "that changed files cannot be used is no metric", file: certificates + "/kept.go",
		old: `	k.failing.Store(true)
`, new: ``,
		pkg: certificates, run: "TestFilesAreReadAgain"},
	{name: "a certificate that is cut off is left out", file: certificates + "/keys.go",
		old: `if begins > 0 {`, new: `if false {`,
		pkg: certificates, run: "TestAPairThatNoClientTakes"},
}
