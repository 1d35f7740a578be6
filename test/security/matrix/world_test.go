package matrix

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// uris makes a client's certificate name these.
func uris(t *testing.T, names ...string) func(*x509.Certificate) {
	t.Helper()
	return func(c *x509.Certificate) {
		for _, name := range names {
			u, err := url.Parse(name)
			require.NoError(t, err)
			c.URIs = append(c.URIs, u)
		}
	}
}

// newWorld starts a platform, with the victim's things in it.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{issuer: newIssuer(t), certs: map[string]*tls.Certificate{}, clients: map[string]*http.Client{}}
	w.trap = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { w.trapped.Add(1) }))
	t.Cleanup(w.trap.Close)
	console := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(console, "index.html"), []byte("<html></html>"), 0o600))
	w.s = mep.Secure(t, "MEP_SERVER_CONSOLE_DIR="+console,
		"MEP_IDENTITY_JWT_KEY_FILE="+w.issuer.file, "MEP_IDENTITY_JWT_ISSUER="+issuerName, "MEP_IDENTITY_JWT_AUDIENCE="+audienceName,
		"MEP_IDENTITY_PROXY_HEADER="+proxyHeader, "MEP_IDENTITY_PROXY_FROM="+proxyAddress+"/32", "MEP_IDENTITY_PROXY_SAN=urn:mep:proxy",
		"MEP_LIMITS_WRITES_PER_SECOND=1000000", "MEP_LIMITS_WRITES_BURST=1000000", "MEP_LIMITS_LISTS_PER_SECOND=1000000", "MEP_LIMITS_REQUESTS_PER_SECOND=1000000")
	w.roots = w.s.CA.Pool
	certificate := func(name string, of ...string) *tls.Certificate {
		pair := w.s.CA.Client("client-"+name, uris(t, of...)).TLS
		return &pair
	}
	w.certs[victim], w.certs[other] = certificate(victim, "urn:mec:app:"+victim), certificate(other, "urn:mec:app:"+other)
	w.certs["two"], w.proxy = certificate("two", "urn:mec:app:"+victim, "urn:mec:app:"+other), certificate("proxy", "urn:mep:proxy")
	t.Cleanup(func() {
		for _, c := range w.clients {
			c.CloseIdleConnections()
		}
	})
	var table struct{ Routes []route }
	require.NoError(t, json.Unmarshal(w.s.Admin("GET", "/routes", "").Body, &table))
	require.NotEmpty(t, table.Routes)
	w.routes = table.Routes
	w.furnish(t)
	w.revoke(t)
	return w
}

// furnish gives the victim one of everything.
func (w *world) furnish(t *testing.T) {
	t.Helper()
	made := func(path, body string) answer {
		a := w.admin(t, "POST", path, body)
		require.Equal(t, http.StatusCreated, a.status, "%s: %s", path, a.body)
		return a
	}
	made(mp1.AppSupportBase+"/registrations", `{"appName":"n","appInstanceId":"`+victim+`"}`)
	service := path.Base(made(mep.ServicesOf(victim), mep.Info("theirs", 300)).header.Get("Location"))
	subscription := path.Base(made(mep.SubscriptionsOf(victim), subscriptionBody).header.Get("Location"))
	made("/mec_liveness/v1/credentials", `{"id":"`+victim+`"}`)
	var micro struct{ ServiceID, InstanceID string }
	require.NoError(t, json.Unmarshal([]byte(w.admin(t, "POST", registry+"/microservices", microserviceBody("theirs")).body), &micro))
	id := micro.ServiceID
	require.NoError(t, json.Unmarshal([]byte(w.admin(t, "POST", registry+"/microservices/"+id+"/instances", instanceBody).body), &micro))
	w.ids = map[string]string{"{appInstanceId}": victim, "{serviceId}": service, "{subscriptionId}": subscription, "{id}": victim,
		":project": "default", ":serviceId": id, ":instanceId": micro.InstanceID, ":consumerId": id, ":providerId": id,
		":rule_id": "rule", ":schemaId": "schema", ":key": "key", ":kind": "kind", ":id": "id"}
}

// revoke gets a token of the platform's own and takes its credential away.
func (w *world) revoke(t *testing.T) {
	t.Helper()
	w.revoked = w.s.Token(w.s.Add("gone", "admin"))
	require.Equal(t, http.StatusOK, w.send(t, bearer(w.revoked), "GET", "/metrics", "").status)
	w.admin(t, "DELETE", "/mec_liveness/v1/credentials/gone", "")
	wait.Until(t, "the token ends with its credential", func() bool {
		return w.send(t, bearer(w.revoked), "GET", "/metrics", "").status == http.StatusUnauthorized
	})
}

const (
	registry         = "/v4/default/registry"
	subscriptionBody = `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://127.0.0.1:9/never"}`
	instanceBody     = `{"instance":{"hostName":"h","endpoints":["rest://10.0.0.5:80"],"healthCheck":{"mode":"push","interval":3600,"times":3}}}`
)

func microserviceBody(name string) string {
	return fmt.Sprintf(`{"service":{"serviceName":%q,"appId":"a","version":"1.0.0"}}`, name)
}

// path is that of a request for the route; ids stand for its placeholders.
func (r route) path(ids map[string]string) string {
	_, path, _ := strings.Cut(r.Pattern, "/")
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if is, ok := ids[s]; ok {
			segments[i] = is
		}
	}
	return "/" + strings.Join(segments, "/")
}

// body is one that the route would take.
func (r route) body() string {
	method := r.method()
	if method == "GET" || method == "PURGE" {
		return ""
	}
	for _, of := range []struct{ in, body string }{
		{"/liveness", mep.Alive},
		{"/subscriptions", subscriptionBody},
		{"/registrations", `{"appName":"changed","appInstanceId":"` + victim + `"}`},
		{"/credentials", `{"id":"intruder","roles":["admin"]}`},
		{"/mec_service_mgmt/", mep.Info("changed", 301)},
		{"/instances/action", `{"services":[]}`},
		{"/properties", `{"properties":{"changed":"yes"}}`},
		{"/instances", instanceBody},
		{"/tags", `{"tags":{"changed":"yes"},"value":"changed"}`},
		{"/rules", `{"rules":[{"ruleType":"BLACK","attribute":"tag_a","pattern":"changed"}]}`},
		{"/schemas", `{"schemas":[{"schemaId":"schema","summary":"s","schema":"changed"}],"schema":"changed","summary":"s"}`},
		{"/registry/microservices", microserviceBody("changed")},
	} {
		if strings.Contains(r.Pattern, of.in) {
			return of.body
		}
	}
	return `{}`
}

// stored is everything that a request could have changed, as an admin sees it.
func (w *world) stored(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	at := func(pattern string) string { return route{Pattern: "GET " + pattern}.path(w.ids) }
	for _, path := range []string{mp1.Base + "/services", mep.ServicesOf(victim), at(mp1.Base + "/applications/{appInstanceId}/services/{serviceId}/liveness"),
		mep.SubscriptionsOf(victim), at(mp1.Base + "/applications/{appInstanceId}/subscriptions/{subscriptionId}"), mep.SubscriptionsOf(other), mep.ServicesOf(other),
		mp1.AppSupportBase + "/registrations/" + victim, "/mec_liveness/v1/credentials",
		registry + "/microservices", at(registry + "/microservices/:serviceId"), at(registry + "/microservices/:serviceId/instances"),
		at(registry + "/microservices/:serviceId/tags"), at(registry + "/microservices/:serviceId/rules"), at(registry + "/microservices/:serviceId/schemas")} {
		a := w.send(t, bearer(w.issuer.token("root", claims{"roles": []string{"admin"}})).with("X-ConsumerId", w.ids[":serviceId"]), "GET", path, "")
		require.Equal(t, http.StatusOK, a.status, "%s: %s", path, a.body)
		fmt.Fprintln(&out, path, inOrder(t, a.body))
	}
	return out.String()
}

// inOrder is a JSON text with its lists sorted: service-center's are as its caches have them.
func inOrder(t *testing.T, text string) string {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal([]byte(text), &v), text)
	var sorted func(v any) any
	sorted = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				v[name] = sorted(member)
			}
		case []any:
			for i, element := range v {
				v[i] = sorted(element)
			}
			slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		return v
	}
	b, err := json.Marshal(sorted(v))
	require.NoError(t, err)
	return string(b)
}

// isOpen says whether a path is that of an open route, to which nothing need be proved.
func (w *world) isOpen(path string) bool {
	return slices.ContainsFunc(w.routes, func(r route) bool { return r.Access == "open" && r.path(nil) == path })
}
