package conf

import (
	"cmp"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Agent is the complete, validated configuration of one mep-agent.
type Agent struct {
	Platform    Platform
	Application Application
	Identity    Identity
	Local       Local
	Log         AgentLog
	Services    []AgentService // none: the application only consumes
	// Warnings are what is odd in the sources and keeps nothing from working. They are to be
	// said aloud, for they may be why something else does not work.
	Warnings Faults
}

// Platform is where the MEC platform is, and how both sides prove who they are.
type Platform struct {
	Endpoints  []string      // URLs of one platform; the next is used when one does not answer
	Prefix     string        // of every path: "" or, behind EdgeGallery's gateway, "/mep"
	Timeout    time.Duration // of one request to one endpoint
	CAFile     string        // PEM; "": the system's roots
	CertFile   string        // PEM, our certificate
	KeyFile    string        // PEM, its key
	ServerName string        // that the platform's certificate has, if not the endpoint's host
}

// Application is the application whose services the agent registers.
type Application struct {
	ID        string // appInstanceId
	OnStop    string // deregister or leave
	StateFile string // where to keep which registrations are ours; "": nowhere
	// ConfirmReady tells the platform once that the application is ready, when every service is
	// registered.
	ConfirmReady  bool
	OnTermination string // ignore or confirm
}

// IdentityKind is where bearer tokens come from.
type IdentityKind string

// The kinds of identity.
const (
	Anonymous IdentityKind = "none"        // there are no tokens
	TokenFile IdentityKind = "tokenFile"   // a file that another program keeps fresh
	OAuth2    IdentityKind = "oauth2"      // client credentials (RFC 6749 §4.4)
	AccessKey IdentityKind = "edgegallery" // a token request signed with an access key
)

// Identity is how the agent proves who it is. Each secret is given either itself or by a
// file that holds it.
type Identity struct {
	Kind             IdentityKind
	TokenFile        string
	TokenURL         string // of OAuth2
	ClientID         string
	ClientSecret     Secret
	ClientSecretFile string
	Scopes           []string
	AccessKey        Secret // of kind AccessKey
	AccessKeyFile    string
	SecretKey        Secret
	SecretKeyFile    string
}

// Local is where the agent serves pages of its own.
type Local struct {
	Listen      string // HOST:PORT; "": none
	EdgeGallery bool   // also serves EdgeGallery's local API, which hands the token to whoever asks
}

// AgentLog is how much is logged.
type AgentLog struct {
	Level string // DEBUG, INFO, WARN or ERROR
}

// AgentService is one service to register.
type AgentService struct {
	Info  []byte // JSON: the ServiceInfo as it is registered
	Probe *AgentProbe
}

// AgentProbe asks the application whether it is well. Exactly one of TCP, HTTP and Exec is
// given.
type AgentProbe struct {
	TCP      string        // HOST:PORT
	HTTP     string        // URL
	Exec     []string      // program and arguments
	Interval time.Duration // at least 100 ms
	Timeout  time.Duration // from 100 ms to Interval
	Failures int           // in a row until heartbeats stop: 1 to 1000
}

// DefaultAgent is the configuration of an agent without any setting. It is not valid: an
// application has no default.
func DefaultAgent() Agent {
	return Agent{
		Platform:    Platform{Endpoints: []string{"http://127.0.0.1:30100"}, Timeout: 5 * time.Second},
		Application: Application{OnStop: "deregister", OnTermination: "ignore"},
		Identity:    Identity{Kind: Anonymous},
		Log:         AgentLog{Level: "INFO"},
	}
}

// agentSettings are the settings of an agent and where their values go.
func agentSettings(a *Agent) []setting {
	return []setting{
		{"platform.endpoints", "", &a.Platform.Endpoints},
		{"platform.prefix", "", &a.Platform.Prefix},
		{"platform.timeout", "", &a.Platform.Timeout},
		{"platform.caFile", "", &a.Platform.CAFile},
		{"platform.certFile", "", &a.Platform.CertFile},
		{"platform.keyFile", "", &a.Platform.KeyFile},
		{"platform.serverName", "", &a.Platform.ServerName},
		{"application.id", "", &a.Application.ID},
		{"application.onStop", "", oneOf(&a.Application.OnStop, "deregister", "leave")},
		{"application.stateFile", "", &a.Application.StateFile},
		{"application.confirmReady", "", &a.Application.ConfirmReady},
		{"application.onTermination", "", oneOf(&a.Application.OnTermination, "ignore", "confirm")},
		{"identity.kind", "", oneOf(&a.Identity.Kind, Anonymous, TokenFile, OAuth2, AccessKey)},
		{"identity.tokenFile", "", &a.Identity.TokenFile},
		{"identity.tokenURL", "", &a.Identity.TokenURL},
		{"identity.clientId", "", &a.Identity.ClientID},
		{"identity.clientSecret", "", &a.Identity.ClientSecret},
		{"identity.clientSecretFile", "", &a.Identity.ClientSecretFile},
		{"identity.scopes", "", &a.Identity.Scopes},
		{"identity.accessKey", "", &a.Identity.AccessKey},
		{"identity.accessKeyFile", "", &a.Identity.AccessKeyFile},
		{"identity.secretKey", "", &a.Identity.SecretKey},
		{"identity.secretKeyFile", "", &a.Identity.SecretKeyFile},
		{"local.listen", "", &a.Local.Listen},
		{"local.edgeGallery", "", &a.Local.EdgeGallery},
		{"log.level", "", oneOf(&a.Log.Level, "DEBUG", "INFO", "WARN", "ERROR")},
	}
}

// SecretVariables are the names of the environment variables that may hold secrets. No
// program that an agent starts may inherit them.
func SecretVariables() []string {
	names := []string{"AK", "SK"}
	for _, s := range agentSettings(new(Agent)) {
		if s.isSecret() {
			names = append(names, s.env())
		}
	}
	return names
}

// LoadAgent makes the configuration of an agent of a file and the environment. Its error is
// a Faults, with every rule of MEC 011 that a service breaks among them.
func LoadAgent(src Sources) (Agent, error) { return loadAgent(src, mp1.CheckServiceInfo) }

// ReadAgent is LoadAgent for who looks for more faults: beside an error it returns what could be
// read. No agent may run with that.
func ReadAgent(src Sources) (Agent, error) { return readAgent(src, mp1.CheckServiceInfo) }

// loadAgent is LoadAgent with the rules of a service, given as JSON. Their error is mp1.Faults or
// *mp1.Invalid.
func loadAgent(src Sources, validate func(info []byte) error) (Agent, error) {
	c, err := readAgent(src, validate)
	if err != nil {
		return Agent{}, err
	}
	return c, nil
}

func readAgent(src Sources, validate func(info []byte) error) (Agent, error) {
	r := &serviceReader{validate: validate}
	f := schema{"mep-agent", agentSettings(new(Agent)), r.lists(), r.secondDocument}
	gallery := readEdgeGalleryEnvironment(src.Environ)
	if src.File == "" && src.Data == nil {
		src.File = gallery.file
	} else if gallery.file != "" && src.File != gallery.file {
		gallery.warnings.add(gallery.file, "", "is not read: the configuration is another file")
	}
	inFile, all := fromFile(f, src)
	inEnviron, bad := fromEnviron(f, src)
	all = append(all, bad...)
	c := DefaultAgent()
	origin, bad := apply(agentSettings(&c), slices.Concat(gallery.implied, inFile, gallery.given, inEnviron))
	all = append(all, bad...)
	c.Services = r.services
	c.Warnings = append(gallery.warnings, r.warnings...)
	checkAgent(&c, origin, all.reporter())
	if len(c.Services) == 0 {
		c.Warnings.add(cmp.Or(src.File, "configuration"), "services", "are none: nothing is registered, and no heartbeats are sent")
	}
	return c, all.err()
}
