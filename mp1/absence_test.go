package mp1

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// MEC 011 §8.1.2.2 NOTE 4: isLocal is used in answers, subscriptions and notifications.
// AdvantEDGE's clients always send false.
func TestIsLocalIsThePlatformsToSay(t *testing.T) {
	for _, sent := range []any{false, true, nil} {
		for name, decode := range map[string]func([]byte) (ServiceInfo, error){"POST": DecodeServiceInfo, "PUT": DecodeUpdate} {
			info, err := decode(set("isLocal", sent))
			require.NoError(t, err, name)
			require.Nil(t, info.IsLocal, name)
			require.True(t, *info.Completed().IsLocal, name)
		}
	}
	old, err := ReadStored(`{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON","isLocal":false}`)
	require.NoError(t, err, "a release before has stored what the application said")
	require.True(t, *old.IsLocal)
	yes, no := true, false
	require.True(t, (&FilteringCriteria{IsLocal: &yes}).Match(&old))
	require.False(t, (&FilteringCriteria{IsLocal: &no}).Match(&old))
	require.True(t, (&Filter{IsLocal: &yes}).Match(&old))
	require.False(t, (&Filter{IsLocal: &no}).Match(&old))
	_, err = ReadStored(`[]`)
	require.Error(t, err)
}

// EdgeGallery's agent, AdvantEDGE's services and the MEC Sandbox's client send these members
// empty or leave them out. Nothing is lost when they are accepted.
func TestWhatSaysNothingIsAbsent(t *testing.T) {
	nothing := map[string]any{"id": "", "name": "", "description": "", "type": "", "protocol": "", "version": "", "endpoint": map[string]any{"uris": nil, "addresses": nil, "alternative": nil},
		"security": map[string]any{"oAuth2Info": map[string]any{"grantTypes": nil, "tokenEndpoint": ""}}, "implSpecificInfo": map[string]any{}}
	plain := with(func(m map[string]any) {
		delete(m["transportInfo"].(map[string]any), "security")
		delete(m, "serCategory")
		delete(m, "scopeOfLocality")
	})
	want, err := DecodeServiceInfo(plain)
	require.NoError(t, err)
	require.Equal(t, SecurityInfo{}, want.TransportInfo.Security)
	b, err := json.Marshal(want)
	require.NoError(t, err)
	require.Contains(t, string(b), `"security":{}`, "§8.1.2.3 has it as mandatory, so the answer carries it")
	for name, change := range map[string]func(m, transport map[string]any){
		"security null":    func(_, tr map[string]any) { tr["security"] = nil },
		"security empty":   func(_, tr map[string]any) { tr["security"] = map[string]any{} },
		"oAuth2Info null":  func(_, tr map[string]any) { tr["security"] = map[string]any{"oAuth2Info": nil} },
		"oAuth2Info empty": func(_, tr map[string]any) { tr["security"] = map[string]any{"oAuth2Info": map[string]any{}} },
		"EdgeGallery's grants": func(_, tr map[string]any) {
			tr["security"] = map[string]any{"oAuth2Info": map[string]any{"grantTypes": []string{""}, "tokenEndpoint": nil}}
		},
		"a category in which nothing is": func(m, _ map[string]any) {
			m["serCategory"] = map[string]any{"href": "", "id": "", "name": "", "version": ""}
		},
		"a category in which only a member that is not ours says something": func(m, _ map[string]any) {
			m["serCategory"] = map[string]any{"href": "", "id": "", "name": "", "version": "", "x": 1}
		},
		"a category of nulls":             func(m, _ map[string]any) { m["serCategory"] = map[string]any{"href": nil, "id": nil} },
		"no locality":                     func(m, _ map[string]any) { m["scopeOfLocality"] = "" },
		"null locality":                   func(m, _ map[string]any) { m["scopeOfLocality"] = nil },
		"transportId and ids of its own":  func(m, _ map[string]any) { m["transportId"], m["serInstanceId"], m["_links"] = "", 7, []any{"x"} },
		"null for what is for the answer": func(m, _ map[string]any) { m["transportId"], m["serInstanceId"], m["_links"] = nil, nil, nil },
	} {
		info, err := DecodeServiceInfo(with(func(m map[string]any) {
			tr := m["transportInfo"].(map[string]any)
			delete(tr, "security")
			delete(m, "serCategory")
			delete(m, "scopeOfLocality")
			change(m, tr)
		}))
		require.NoError(t, err, name)
		require.Equal(t, want, info, name)
	}
	for name, none := range map[string]any{"null": nil, "empty": map[string]any{}, "EdgeGallery's, without a value": nothing} {
		info, err := DecodeServiceInfo(with(func(m map[string]any) { m["transportInfo"], m["transportId"] = none, "rest-http" }))
		require.NoError(t, err, name)
		require.Equal(t, "rest-http", info.TransportInfo.ID, name)
		info, err = DecodeUpdate(set("transportInfo", none))
		require.NoError(t, err, name)
		require.Nil(t, info.TransportInfo, "%s: the stored one is kept", name)
		_, err = DecodeServiceInfo(set("transportInfo", none))
		require.ErrorContains(t, err, "one of transportInfo and transportId is mandatory", name)
	}
	app, err := DecodeAppInfo([]byte(`{"appName":"n","appCategory":{"href":"","id":"","name":"","version":""}}`))
	require.NoError(t, err)
	require.Nil(t, app.AppCategory)
}
