package mp1

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const fullApp = `{"appName":"n","appProvider":"p","appCategory":{"href":"/c","id":"1","name":"c","version":"1"},"appInstanceId":"app-1",
	"endpoint":{"uris":["http://h:1/"]},"appServiceRequired":[{"serName":"rnis","version":"1","serCategory":{"href":"/c","id":"1","name":"c","version":"1"},
	"serTransportDependencies":[{"transport":{},"x":1}],"requestedPermissions":["a"]}],"appServiceOptional":[{"serName":"l","version":"2"}],
	"appFeatureRequired":[{"featureName":"f","version":"1"}],"appFeatureOptional":[{"featureName":"g","version":"1"}],"isInsByMec":false,"appProfile":{"provId":"p"},"more":1}`

func TestARegistrationOfAnApplicationIsKeptWhole(t *testing.T) {
	a, err := DecodeAppInfo([]byte(fullApp))
	require.NoError(t, err)
	b, err := json.Marshal(a)
	require.NoError(t, err)
	require.JSONEq(t, strings.Replace(fullApp, `,"more":1`, "", 1), string(b))
	for _, body := range []string{`{"appName":"n"}`, `{"appName":"n","appInstanceId":"a"}`, `{"appName":"n","appInstanceId":"a","appDId":"d"}`,
		`{"appName":"n","appInstanceId":"a","appDId":"d","isInsByMec":true}`, `{"appName":"n","endpoint":{"uris":[]},"isInsByMec":false}`,
		`{"appName":"n","endpoint":null,"appCategory":null,"isInsByMec":null,"appServiceRequired":null,"appDId":"","appServiceOptional":[]}`} {
		_, err := DecodeAppInfo([]byte(body))
		require.NoError(t, err, body)
	}
}

func TestARegistrationOfAnApplicationIsRefusedWithItsRule(t *testing.T) {
	for body, attribute := range map[string]string{
		``: "", `null`: "", `[]`: "", `{}`: "appName", `{"appName":""}`: "appName", `{"appName":1}`: "appName", `{"AppName":"n"}`: "appName",
		`{"appName":"n","appName":"n"}`: "appName", `{"appName":"n","appdid":"x"}`: "appDId",
		`{"appName":"n","appInstanceId":"a/b"}`:                                                                      "appInstanceId",
		`{"appName":"n","isInsByMec":"true"}`:                                                                        "isInsByMec",
		`{"appName":"n","isInsByMec":true,"appInstanceId":"a"}`:                                                      "appDId",
		`{"appName":"n","isInsByMec":true,"appDId":"d"}`:                                                             "appInstanceId",
		`{"appName":"n","isInsByMec":false}`:                                                                         "endpoint",
		`{"appName":"n","endpoint":{}}`:                                                                              "endpoint",
		`{"appName":"n","appServiceRequired":[{"serName":"s","version":"1"}]}`:                                       "endpoint",
		`{"appName":"n","appServiceOptional":[{"serName":"s","version":"1"}]}`:                                       "endpoint",
		`{"appName":"n","appFeatureRequired":[{"featureName":"s","version":"1"}]}`:                                   "endpoint",
		`{"appName":"n","appFeatureOptional":[{"featureName":"s","version":"1"}]}`:                                   "endpoint",
		`{"appName":"n","appDId":"d","appFeatureOptional":[{"featureName":"s","version":"1"}]}`:                      "appFeatureOptional",
		`{"appName":"n","appServiceRequired":[{"serName":"s"}]}`:                                                     "appServiceRequired.version",
		`{"appName":"n","appFeatureRequired":[{"version":"s"}]}`:                                                     "appFeatureRequired.featureName",
		`{"appName":"n","appFeatureRequired":[1]}`:                                                                   "appFeatureRequired",
		`{"appName":"n","appFeatureRequired":{}}`:                                                                    "appFeatureRequired",
		`{"appName":"n","appServiceRequired":[{"serName":"s","version":"1","requestedPermissions":1e999}]}`:          "appServiceRequired.requestedPermissions",
		`{"appName":"n","appProfile":"p"}`:                                                                           "appProfile",
		`{"appName":"n","appFeatureRequired":[` + strings.Repeat(`{"featureName":"s","version":"1"},`, 100) + `{}]}`: "appFeatureRequired",
	} {
		_, err := DecodeAppInfo([]byte(body))
		var bad *Invalid
		require.ErrorAs(t, err, &bad, body)
		require.Equal(t, attribute, bad.Attribute, body)
		require.NotEmpty(t, bad.Rule)
	}
}

func FuzzDecodeAppInfo(f *testing.F) {
	for _, s := range []string{fullApp, "{}", "null", `{"appName":"\ud800"}`, `{"appName":"n","appInstanceId":"a"}`, `{"appName":"n","isInsByMec":true,"appDId":"d","appInstanceId":"a"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := DecodeAppInfo(data)
		if err != nil {
			var bad *Invalid
			if !errors.As(err, &bad) {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeAppInfo(b)
		var stored AppInfo
		if err != nil || json.Unmarshal(b, &stored) != nil || !reflect.DeepEqual(a, again) || !reflect.DeepEqual(a, stored) {
			t.Fatalf("%q means another thing after it was written: %q, %v", data, b, err)
		}
	})
}
