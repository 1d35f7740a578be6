package agent

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// described is a service with changes to its members; a name with dots is of a member inside.
func described(t *testing.T, changes map[string]string) mp1.ServiceInfo {
	t.Helper()
	var doc map[string]any
	b, err := json.Marshal(serviceInfo("s0"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &doc))
	for path, text := range changes {
		names := strings.Split(path, ".")
		at := doc
		for _, name := range names[:len(names)-1] {
			at, _ = at[name].(map[string]any)
		}
		var v any
		require.NoError(t, json.Unmarshal([]byte(text), &v), text)
		at[names[len(names)-1]] = v
	}
	var info mp1.ServiceInfo
	b, err = json.Marshal(doc)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &info))
	return info
}

const (
	href     = "_links.self.href"
	endpoint = "transportInfo.endpoint"
)

// shown is a registration as an ETSI platform shows it.
func shown(t *testing.T, id string, changes map[string]string) mp1.ServiceInfo {
	t.Helper()
	all := map[string]string{"_links": `{"self":{"href":"/x"},"liveness":{"href":"/x/liveness"}}`, "livenessInterval": "10", "serInstanceId": `"` + id + `"`}
	for k, v := range changes {
		all[k] = v
	}
	return described(t, all)
}

// Registrations are told apart by name, version and endpoint, whoever has written them how.
func TestARegistrationIsFoundHoweverItIsWritten(t *testing.T) {
	type changes = map[string]string
	const edgeGallery = `{"self":{"liveness":"/mep/x/liveness"}}`
	for name, c := range map[string]struct {
		ours, shown changes
		found       bool
		differs     bool
	}{
		"the same":                        {found: true},
		"an empty array more":             {ours: changes{endpoint: `{"uris":["http://h/s0"],"fqdn":[]}`}, found: true},
		"an empty array shown":            {shown: changes{endpoint: `{"uris":["http://h/s0"],"fqdn":[],"addresses":[]}`}, found: true},
		"another order of members":        {ours: changes{endpoint: `{"alternative":{"a":1,"b":2}}`}, shown: changes{endpoint: `{"alternative":{"b":2,"a":1}}`}, found: true},
		"case and port":                   {ours: changes{endpoint: `{"uris":["HTTP://H:80/s0"]}`}, found: true},
		"another host":                    {shown: changes{endpoint: `{"uris":["http://other/s0"]}`}},
		"another port":                    {shown: changes{endpoint: `{"uris":["http://h:81/s0"]}`}},
		"another address":                 {ours: changes{endpoint: `{"addresses":[{"host":"10.0.0.1","port":1}]}`}, shown: changes{endpoint: `{"addresses":[{"host":"10.0.0.2","port":1}]}`}},
		"another port of an address":      {ours: changes{endpoint: `{"addresses":[{"host":"10.0.0.1","port":1}]}`}, shown: changes{endpoint: `{"addresses":[{"host":"10.0.0.1","port":2}]}`}},
		"another name":                    {ours: changes{endpoint: `{"fqdn":["a.example"]}`}, shown: changes{endpoint: `{"fqdn":["b.example"]}`}},
		"another version":                 {shown: changes{"version": `"2"`}},
		"another transport elsewhere":     {shown: changes{"transportInfo.protocol": `"AMQP"`, endpoint: `{"uris":["http://gw/x"]}`}},
		"a changed path":                  {shown: changes{endpoint: `{"uris":["http://h/old"]}`}, found: true, differs: true},
		"a gateway's path":                {shown: changes{endpoint: `{"uris":["http://gw:8443/s0-123"]}`}, found: true},
		"a gateway's scheme":              {shown: changes{endpoint: `{"uris":["https://gw/s0"]}`}, found: true},
		"a gateway's form":                {ours: changes{endpoint: `{"addresses":[{"host":"10.0.0.1","port":1}]}`}, shown: changes{endpoint: `{"uris":["https://gw/s0"]}`}, found: true},
		"a gateway's number":              {ours: changes{endpoint: `{"uris":["http://h/s0","http://i/s0"]}`}, shown: changes{endpoint: `{"uris":["http://gw/s0"]}`}, found: true},
		"at the platform":                 {shown: changes{endpoint: `{"uris":["http://mep:30100/s0"]}`}, found: true},
		"EdgeGallery's":                   {shown: changes{"_links": edgeGallery, endpoint: `{"uris":["http://other/s0"]}`, "livenessInterval": "60", "scopeOfLocality": `"MEC_HOST"`}, found: true},
		"EdgeGallery's empty security":    {shown: changes{"_links": edgeGallery, "transportInfo.security": `{"oAuth2Info":{"grantTypes":[""],"tokenEndpoint":""}}`}, found: true},
		"another interval by the choice":  {shown: changes{"livenessInterval": "60"}, found: true},
		"another interval":                {ours: changes{"livenessInterval": "20"}, found: true, differs: true},
		"suspended":                       {shown: changes{"state": `"SUSPENDED"`}, found: true},
		"set INACTIVE by the application": {shown: changes{"state": `"INACTIVE"`}, found: true},
		"to be INACTIVE":                  {ours: changes{"state": `"INACTIVE"`}, found: true, differs: true},
		"another serializer":              {ours: changes{"serializer": `"XML"`}, found: true, differs: true},
		"another scope":                   {ours: changes{"scopeOfLocality": `"ZONE"`}, found: true, differs: true},
		"the default scope":               {shown: changes{"scopeOfLocality": `"MEC_HOST"`, "consumedLocalOnly": "true", "isLocal": "true"}, found: true},
		"for others too":                  {ours: changes{"consumedLocalOnly": "false"}, shown: changes{"consumedLocalOnly": "true"}, found: true, differs: true},
		"a category":                      {ours: changes{"serCategory": `{"href":"h","id":"i","name":"n","version":"v"}`}, found: true, differs: true},
		"another description":             {ours: changes{"transportInfo.description": `"d"`}, found: true, differs: true},
		"another transport there":         {ours: changes{"transportInfo.protocol": `"AMQP"`}, found: true, differs: true},
		"another security":                {ours: changes{"transportInfo.security": `{"oAuth2Info":{"tokenEndpoint":"/t"}}`}, found: true, differs: true},
		"what the application knows":      {ours: changes{"transportInfo.implSpecificInfo": `{"a":1}`}, found: true, differs: true},
		"a transport of the platform's":   {ours: changes{"transportId": `"rest-http"`, "transportInfo": "null"}, found: true},
		"no heartbeats any more":          {ours: changes{"livenessInterval": "null"}, found: true},
		"heartbeats now":                  {shown: changes{"livenessInterval": "null", "_links": `{"self":{"href":"/x"}}`}, found: true},
	} {
		services := []wanted{{info: described(t, c.ours)}}
		got := findRegistrations(services, []mp1.ServiceInfo{shown(t, "a", c.shown)}, map[string]bool{}, []string{"mep:30100"})
		require.Equal(t, c.found, got[0].listed, name)
		require.Equal(t, c.differs, got[0].differs, name)
	}
}

// More registrations at a gateway than services that look for one may be anybody's.
func TestWhatMayBeAnothersIsLeftAlone(t *testing.T) {
	at := func(id, uri string) mp1.ServiceInfo {
		return shown(t, id, map[string]string{endpoint: `{"uris":["` + uri + `"]}`})
	}
	find := func(n int, list ...mp1.ServiceInfo) (ids []string) {
		services := make([]wanted, n)
		for i := range services {
			services[i].info = described(t, nil)
			if i > 0 {
				services[i].info.TransportInfo.Endpoint.URIs = []string{"http://h/more"}
			}
		}
		for _, f := range findRegistrations(services, list, map[string]bool{}, nil) {
			ids = append(ids, f.info.SerInstanceID)
		}
		return ids
	}
	require.Equal(t, []string{"a"}, find(1, at("a", "http://gw/1")))
	require.Equal(t, []string{""}, find(1, at("a", "http://gw/1"), at("b", "http://gw/2")))
	require.Equal(t, []string{"a", "b"}, find(2, at("b", "http://gw/2"), at("a", "http://gw/1")))
	require.Equal(t, []string{"b", ""}, find(2, at("a", "http://other/s0/1"), at("b", "http://h/s0")), "this platform shows what it was given")
	require.Equal(t, []string{"a"}, find(1, at("b", "http://h/s0"), at("a", "http://h/s0")), "who starts together chooses the same")
}

// A changed configuration was ignored at a restart.
func TestAChangedConfigurationIsSentAtTheNextStart(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakePlatform(10)
			f.keeps = keeps
			o := options(f, 2)
			o.OnStop = Leave
			require.NoError(t, run(t, o).stop())
			f.links()
			o.Services[1].Info.Serializer = "XML"
			o.Services[1].Info.TransportInfo.Endpoint.FQDN = []string{}
			r := run(t, o)
			advance(interval)
			require.Len(t, f.registrations(), 2)
			require.EqualValues(t, "XML", f.registered()[r.Status()[1].ID].Serializer)
			if !keeps {
				require.Len(t, f.sent(http.MethodPut, ""), 1, "what is not changed is not sent")
			}
			require.True(t, r.Ready())
			require.NoError(t, r.stop())
		})
	}
}
