package agent

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// localToken is the token as EdgeGallery's agent shows it to its application.
type localToken struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"` // seconds that are left; 0 if nobody knows
}

// showToken answers with the token as EdgeGallery's agent does: 412 without a body while
// there is none.
func (a *Agent) showToken(w http.ResponseWriter, r *http.Request) {
	source := a.options.Token
	if source == nil {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	token, err := source.Token(r.Context())
	if err != nil {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	shown := localToken{AccessToken: token, TokenType: "Bearer"}
	if c, ok := source.(*tokenCache); ok {
		shown.ExpiresIn = int64(c.left(token) / time.Second)
	}
	writeJSON(w, http.StatusOK, shown)
}

// localEndpoint is an endpoint as EdgeGallery's agent shows it: the three kinds that it knows
// are always there. Applications read uris, which EdgeGallery's platform always has.
type localEndpoint struct {
	URIs        []string        `json:"uris"`
	FQDN        []string        `json:"fqdn,omitempty"`
	Addresses   []mp1.Address   `json:"addresses"`
	Alternative json.RawMessage `json:"alternative"`
}

// showEndpoint answers with the endpoint of a service of that name: of the first that is
// ACTIVE or else, as EdgeGallery's agent does in any case, of the first. Errors are texts in
// JSON, as there.
func (a *Agent) showEndpoint(w http.ResponseWriter, r *http.Request) {
	found, err := a.Discover(r.Context(), r.PathValue("serName"))
	found = slices.DeleteFunc(found, func(s mp1.ServiceInfo) bool { return s.TransportInfo == nil })
	switch {
	case err != nil && (statusOf(err) == 0 || statusOf(err) >= http.StatusInternalServerError):
		writeJSON(w, http.StatusServiceUnavailable, "The platform does not answer.")
	case err != nil, len(found) == 0:
		writeJSON(w, http.StatusBadRequest, "Service does not exist.")
	default:
		rank := map[mp1.State]int{mp1.Active: 0, mp1.Suspended: 1, mp1.Inactive: 2}
		best := slices.MinFunc(found, func(a, b mp1.ServiceInfo) int { return cmp.Compare(rank[a.State], rank[b.State]) })
		writeJSON(w, http.StatusOK, localEndpointOf(*best.TransportInfo))
	}
}

var schemeForm = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)

// localEndpointOf makes URIs of other kinds of endpoints, as EdgeGallery's platform does.
func localEndpointOf(t mp1.TransportInfo) localEndpoint {
	e := t.Endpoint
	scheme := strings.ToLower(t.Protocol)
	if !schemeForm.MatchString(scheme) {
		scheme = "http"
	}
	uris := e.URIs
	if len(uris) == 0 {
		for _, a := range e.Addresses {
			uris = append(uris, scheme+"://"+net.JoinHostPort(strings.Trim(a.Host, "[]"), strconv.Itoa(a.Port))+"/")
		}
		for _, name := range e.FQDN {
			uris = append(uris, scheme+"://"+name+"/")
		}
	}
	return localEndpoint{uris, e.FQDN, e.Addresses, e.Alternative}
}
