package edgegallery

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	app      = "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f"
	services = root + "/applications/" + app + "/services"
	one      = `{"serName":"sampleapp","serCategory":{"href":"","id":"","name":"","version":""},"version":"v1","state":"ACTIVE","transportId":"Rest1",
		"transportInfo":{"id":"t1","name":"REST","description":"","type":"REST_HTTP","protocol":"http","version":"2.0",
		"endpoint":{"addresses":[{"host":"sampleapp.default","port":32115}]},"security":{"oAuth2Info":{"grantTypes":null,"tokenEndpoint":""}},"implSpecificInfo":{}},
		"serializer":"JSON","scopeOfLocality":"","consumedLocalOnly":false,"isLocal":true,"livenessInterval":10,"_links":{"self":{"liveness":""}}}`
)

func ask(p *Platform, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func object(t *testing.T, w *httptest.ResponseRecorder) (m map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &m), w.Body)
	return m
}

// The shapes of a life, as they were recorded from the original.
func TestTheStandInAnswersAsTheOriginal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		w := ask(p, "POST", services, one)
		require.Equal(t, 201, w.Code, w.Body)
		posted := object(t, w)
		id := posted["serInstanceId"].(string)
		path := services + "/" + id
		require.Len(t, id, 32)
		require.EqualValues(t, 60, posted["livenessInterval"], "whatever is proposed")
		require.Equal(t, map[string]any{"self": map[string]any{"liveness": path + "/liveness"}, "appInstanceId": ""}, posted["_links"])
		require.Equal(t, "/mep/mp1/v1/services/"+id, w.Header().Get("Location"), "which leads nowhere")

		shown := object(t, ask(p, "GET", path, ""))
		transport := shown["transportInfo"].(map[string]any)
		uris := transport["endpoint"].(map[string]any)["uris"].([]any)
		require.Len(t, uris, 1)
		require.Regexp(t, `^http://mep-api-gw\.mep:8000/sampleapp[0-9a-f]{20}$`, uris[0])
		require.Equal(t, []any{""}, transport["security"].(map[string]any)["oAuth2Info"].(map[string]any)["grantTypes"])
		require.Equal(t, app, shown["_links"].(map[string]any)["appInstanceId"])
		require.NotContains(t, transport, "implSpecificInfo")

		w = ask(p, "PATCH", path+"/liveness", `{"state":"ACTIVE"}`)
		require.Equal(t, 405, w.Code)
		require.Equal(t, "GET, PUT", w.Header().Get("Allow"))
		time.Sleep(64 * time.Second)
		require.Equal(t, "SUSPENDED", object(t, ask(p, "GET", path+"/liveness", ""))["state"])
		require.Equal(t, 204, ask(p, "PUT", path+"/liveness", `{"state":"ACTIVE"}`).Code)
		live := object(t, ask(p, "GET", path+"/liveness", ""))
		require.Equal(t, "ACTIVE", live["state"])
		require.EqualValues(t, time.Now().Unix(), live["timeStamp"].(map[string]any)["seconds"])
		require.Equal(t, 1, p.Services()[0].Beats)

		require.Equal(t, 201, ask(p, "POST", services, one).Code, "each POST is a new registration")
		require.Len(t, p.Services(), 2)
		require.Equal(t, 200, ask(p, "PUT", path, strings.Replace(one, `"livenessInterval":10`, `"livenessInterval":0`, 1)).Code)
		require.Equal(t, 404, ask(p, "PUT", path+"/liveness", `{"state":"ACTIVE"}`).Code)
		require.Equal(t, 204, ask(p, "DELETE", path, "").Code)
		w = ask(p, "DELETE", path, "")
		require.Equal(t, 404, w.Code)
		require.JSONEq(t, `{"title":"Can not found resource","status":3,"detail":"service instance id not found"}`, w.Body.String())
		require.Equal(t, 3, p.Count("PUT", "/liveness")+p.Count("PATCH", "/liveness"))
		p.Lose()
		require.Empty(t, p.Services())
		require.JSONEq(t, `[]`, ask(p, "GET", services, "").Body.String())
		require.Equal(t, 400, ask(p, "GET", root+"/services?ser_name=nobody", "").Code)
	})
}

func TestTheStandInRefusesWhatTheOriginalDoes(t *testing.T) {
	p := New(Options{})
	for name, change := range map[string][2]string{
		"a name with a dot":        {`"sampleapp"`, `"a.b"`},
		"no version":               {`"version":"v1"`, `"version":""`},
		"no state":                 {`"state":"ACTIVE",`, ``},
		"SUSPENDED":                {`"ACTIVE"`, `"SUSPENDED"`},
		"no serializer":            {`"serializer":"JSON"`, `"serializer":""`},
		"an interval below 0":      {`"livenessInterval":10`, `"livenessInterval":-1`},
		"an interval that is text": {`"livenessInterval":10`, `"livenessInterval":"10"`},
		"too large":                {`"v1"`, `"v1","more":"` + strings.Repeat("x", maxBody) + `"`},
	} {
		require.Equal(t, 400, ask(p, "POST", services, strings.Replace(one, change[0], change[1], 1)).Code, name)
	}
	require.Equal(t, 500, ask(p, "POST", services, "null").Code)
	require.Equal(t, 404, ask(p, "GET", services+"/", "").Code, "a slash more is another path")
	for n := range maxServices {
		require.Equal(t, 201, ask(p, "POST", services, strings.Replace(one, "sampleapp", fmt.Sprint("s", n), 1)).Code)
	}
	w := ask(p, "POST", services, one)
	require.Equal(t, 400, w.Code)
	require.EqualValues(t, 12, object(t, w)["status"])
}

func TestTheStandInWantsATokenIfItHasAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{AccessKey: "QVUJMSUMgS0VZLS0tLS0", SecretKey: "secret", App: app})
		require.Equal(t, 401, ask(p, "GET", services, "").Code)
		for range maxBadKeys {
			require.Equal(t, 401, ask(p, "POST", "/mep/token", "").Code)
		}
		require.Equal(t, 403, ask(p, "POST", "/mep/token", "").Code, "the key is locked")
		time.Sleep(badKeyLock)
		require.Equal(t, 401, ask(p, "POST", "/mep/token", "").Code)
		p.tokens["t"] = time.Now().Add(time.Hour)
		r := httptest.NewRequest(http.MethodGet, services, nil)
		r.Header.Set("Authorization", "Bearer t")
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code)
		p.RevokeTokens()
		w = httptest.NewRecorder()
		p.ServeHTTP(w, r)
		require.Equal(t, 401, w.Code)
	})
}
