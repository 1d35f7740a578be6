package mutants

const (
	provision = "cmd/provision"
	adminapi  = "cmd/adminapi"
	remote    = "cmd/remote"
	operate   = "cmd/operate"
	program   = "cmd/mepserver"
)

// commandMutants are defects of the commands that make a platform and its credentials.
var commandMutants = []mutant{
	{name: "a key is made that others may read", file: provision + "/provision.go",
		old: `os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)`, new: `os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)`,
		pkg: provision, run: "TestAPlatformIsMadeOfFiles"},
	{name: "a platform is overwritten", file: provision + "/provision.go",
		old: `		case err == nil:
			return nil, fmt.Errorf("%s is there already`, new: `		case false:
			return nil, fmt.Errorf("%s is there already`,
		pkg: provision, run: "TestNothingIsOverwritten"},
	{name: "keys lie where everybody may replace them", file: provision + "/provision.go",
		old: `info.Mode().Perm()&0o022 != 0`, new: `false`,
		pkg: provision, run: "TestKeysAreNotPut"},
	{name: "the server's key can sign in as a client", file: provision + "/pairs.go",
		old: `[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}`, new: `[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}`,
		pkg: provision, run: "TestTheCertificateIsForItsHosts"},
	{name: "a certificate is renewed by a key that is not its authority's", file: provision + "/pairs.go",
		old: `	if !is || !public.Equal(ca.PublicKey) {`, new: `	if !is || public == nil {`,
		pkg: provision, run: "TestARenewedCertificate"},
	{name: "a name changes the terminal", file: operate + "/table.go",
		old: `terminal.Cell(s.Name),`, new: `s.Name,`,
		pkg: operate, run: "TestNamesDoNotChangeTheTerminal"},
	{name: "a watch ends with its first connection", file: operate + "/watch.go",
		old: `err != nil && !begun:`, new: `err != nil && (!begun || true):`,
		pkg: operate, run: "TestAWatchGoesOnWhereItWasCut"},
	{name: "the second page is not shown", file: operate + "/state.go",
		old: `append(all.Services, page.Services...)`, new: `all.Services`,
		pkg: operate, run: "TestAllPagesAreOneTable"},
	{name: "the secret follows a redirect", file: remote + "/remote.go",
		old: `return http.ErrUseLastResponse }`, new: `return nil }`,
		pkg: remote, run: "TestNoRedirectIsFollowed"},
	{name: "the secret goes over http", file: remote + "/place.go",
		old: `if secret && u.Scheme == "http"`, new: `if false && u.Scheme == "http"`,
		pkg: remote, run: "TestWrongFilesAndURLs"},
	{name: "a terminal gets what a server says", file: remote + "/remote.go",
		old: `if s[i] < ' ' || s[i] > '~' {`, new: `if s[i] == 0 {`,
		pkg: adminapi, run: "TestWhatAServerSaysIsNotBelieved"},
	{name: "a secret is made that cannot be written", file: program + "/secret.go",
		old: `provision.OpenOutput(path, replace)`, new: `provision.OpenOutput(path, true)`,
		pkg: program, run: "TestASecretIsOnlyMadeWhenItCanBeWritten"},
	{name: "half a platform is left behind", file: program + "/init.go",
		old: `			made.Undo()
`, new: "",
		pkg: program, run: "TestInitThatFailsLeavesNothing"},
}
