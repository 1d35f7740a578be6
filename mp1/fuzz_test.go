package mp1

import (
	"encoding/json"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"
)

func FuzzDecodeServiceInfo(f *testing.F) {
	for _, s := range []string{fullService, "{}", "null", `{"serName":"\ud800"}`, `{"a":1,"a":2}`, strings.Repeat("[", 50),
		strings.Replace(fullService, `{"uris":["http://h:1/x"]}`, `{"uris":[],"addresses":[]}`, 1),
		strings.Replace(fullService, `{"uris":["http://h:1/x"]}`, `{"uris":[]}`, 1),
		strings.Replace(fullService, `{"uris":["http://h:1/x"]}`, `{"addresses":[{"host":"h","port":1}],"fqdn":[]}`, 1),
		strings.Replace(fullService, `"z":[1,{"a":null}]`, `"z":1e400`, 1),
		strings.Replace(fullService, `"livenessInterval":10`, `"livenessInterval":6.0e1`, 1), strings.Replace(fullService, `"livenessInterval":10`, `"livenessInterval":-0e99999999999`, 1),
		strings.Replace(fullService, `{"uris":["http://h:1/x"]}`, `{"addresses":[{"host":"h","port":8080.0}]}`, 1),
		strings.Replace(strings.Replace(fullService, `"scopeOfLocality":"ZONE"`, `"scopeOfLocality":""`, 1), `["OAUTH2_CLIENT_CREDENTIALS","OAUTH2_CLIENT_CREDENTIALS"]`, `[""]`, 1),
		`{"serName":"0","version":"0","state":"ACTIVE","transportInfo":{"id":"0","name":"0","type":"RPC","protocol":"0","version":"0","endpoint":{"uris":["0"]},"security":{"oAuth2Info":{"grantTypes":[],"tokenEndpoint":"0"}}},"serializer":"JSON"}`,
		`{"serName":"n","serCategory":{"href":"","id":"","name":"","version":"","x":1},"version":"1","state":"ACTIVE","serializer":"JSON"}`,
		strings.Replace(fullService, `"state":"ACTIVE"`, `"state":"SUSPENDED"`, 1)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, decode := range map[string]func([]byte) (ServiceInfo, error){"registration": DecodeServiceInfo, "update": DecodeUpdate} {
			info, err := decode(data)
			var bad *Invalid
			if err != nil {
				if !errors.As(err, &bad) {
					t.Fatalf("%s %q: %v", name, data, err)
				}
				continue
			}
			b, err := json.Marshal(info)
			if err != nil {
				t.Fatal(err)
			}
			again, err := decode(b)
			if err != nil {
				t.Fatalf("%s %q was accepted, and what was made of it not: %q: %v", name, data, b, err)
			}
			var stored ServiceInfo
			if err := json.Unmarshal(b, &stored); err != nil {
				t.Fatalf("%s %q was accepted, and cannot be read from the store: %q: %v", name, data, b, err)
			}
			if !reflect.DeepEqual(info, again) || !reflect.DeepEqual(info, stored) {
				t.Fatalf("%s %q means another thing after it was written: %q", name, data, b)
			}
		}
	})
}

func FuzzCheckLivenessUpdate(f *testing.F) {
	for _, s := range []string{`{"state":"ACTIVE"}`, `{"ServiceLivenessUpdate":{"state":"ACTIVE"}}`, `{"state":"\ud800"}`, "null", `{"state":1e309}`,
		"\t{ \"state\" :\"ACTIVE\"\n} ", `{"state":"ACTIVE","state":"ACTIVE"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err, slow := CheckLivenessUpdate(data), parseLivenessUpdate(data)
		if (err == nil) != (slow == nil) {
			t.Fatalf("%q: the short way says %v, the strict reader %v", data, err, slow)
		}
		var bad *Invalid
		if err != nil && !errors.As(err, &bad) {
			t.Fatalf("%q: %v", data, err)
		}
		if err == nil && !strings.Contains(strings.ToLower(string(data)), "state") && !strings.Contains(string(data), `\u`) {
			t.Fatalf("%q was taken for a heartbeat", data)
		}
	})
}

func FuzzWholeNumber(f *testing.F) {
	for _, s := range []string{"60.0", "6e1", "0.6E+2", "600e-1", "-0.0", "1e400", "1e-400", "1e99999999999999999999", "1.5", "-1", "1000000000000000000", "0.000e-9", "60.00000000000000000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 100 || !json.Valid([]byte(text)) || strings.Trim(text, "0123456789+-.eE") != "" {
			return
		}
		const most = 1 << 31
		n, ok := wholeNumber(text, most)
		if e := strings.IndexAny(text, "eE"); e < 0 || len(text)-e < 6 { // what can be reckoned with in full
			exact, _ := new(big.Rat).SetString(text)
			whole := exact.IsInt() && exact.Sign() >= 0
			if whole != ok || whole && exact.Cmp(big.NewRat(most, 1)) <= 0 && exact.Cmp(big.NewRat(int64(n), 1)) != 0 {
				t.Fatalf("%q was read as %d, %v", text, n, ok)
			}
		}
		if n < 0 || n > most {
			t.Fatalf("%q was read as %d", text, n)
		}
		var before, after any
		if json.Unmarshal([]byte(text), &before) == nil && (json.Unmarshal(PlainNumbers([]byte(text)), &after) != nil || before != after) {
			t.Fatalf("%q was written as %q", text, PlainNumbers([]byte(text)))
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	f.Add("ser_name=a&is_local=true")
	f.Add("ser_instance_id=%ff&ser_instance_id=+&scope_of_locality=ZONE&consumed_local_only=false")
	f.Add("%zz;&==")
	f.Add("instance_id=a&ser_name=")
	f.Fuzz(func(t *testing.T, raw string) {
		if strict, err := ParseQuery(raw); err == nil {
			if lenient, err := ParseQuery(CompleteQuery(raw)); err != nil || !reflect.DeepEqual(strict, lenient) {
				t.Fatalf("%q means %v, and for EdgeGallery's clients %v, %v", raw, strict, lenient, err)
			}
		}
		filter, err := ParseQuery(raw)
		var bad *Invalid
		if err != nil {
			if !errors.As(err, &bad) {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		filter.Match(&ServiceInfo{})
		again, err := ParseQuery(filter.Query())
		if err != nil || !reflect.DeepEqual(filter, again) {
			t.Fatalf("%q: %v, and written again %q: %v, %v", raw, filter, filter.Query(), again, err)
		}
	})
}
