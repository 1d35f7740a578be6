package mp1

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequiredServicesAreThoseOfEdgeGallerysMepauth(t *testing.T) {
	for text, want := range map[string]struct{ face, star, all bool }{
		`*`:                             {true, true, true},
		`["face"]`:                      {face: true},
		`["map","face"]`:                {face: true},
		`[]`:                            {},
		`null`:                          {},
		`[null]`:                        {},
		`["*"]`:                         {star: true},
		`["Face"]`:                      {},
		`["service-discovery"]`:         {true, true, true},
		`service-discovery`:             {true, true, true},
		`["x-service-discovery-y","z"]`: {true, true, true},
		`["face","\u0066ace","\u002a"]`: {face: true, star: true},
	} {
		body, err := json.Marshal(map[string]string{"app_ins_id": "a", "ak": "k", "sk": "s", "nonce": "n", "app_name": "p", "required_services": text})
		require.NoError(t, err)
		r, err := DecodeRequiredServices(body)
		require.NoError(t, err, text)
		require.Equal(t, []bool{want.face, want.star, want.all}, []bool{r.Allows("face"), r.Allows("*"), r.All()}, text)
		require.Equal(t, want.all, r.Allows(""), text)
	}
	for _, body := range []string{``, `null`, `[]`, `{}`, `{"required_services":""}`, `{"required_services":null}`, `{"required_services":["face"]}`, `{"required_services":"face"}`,
		`{"required_services":"{}"}`, `{"required_services":"[1]"}`, `{"required_services":"[\"face\"]x"}`, `{"Required_Services":"*"}`, `{"required_services":"*","required_services":"[]"}`,
		`{"required_services":"[]","REQUIRED_SERVICES":"*"}`, `"<QuerySeter> no row found"`, `{"required_services":"*"`} {
		r, err := DecodeRequiredServices([]byte(body))
		require.Error(t, err, body)
		require.False(t, r.All() || r.Allows("face"), body)
	}
}

func FuzzDecodeRequiredServices(f *testing.F) {
	for _, s := range []string{`{"required_services":"*"}`, `{"required_services":"[\"face\"]"}`, `{"required_services":"service-discovery"}`, `{"required_services":"[\"\\ud800\"]"}`,
		`{"required_services":"[]","REQUIRED_SERVICES":"*"}`, `{"required_services":"[[[[[[[[[[[[[[[[[[[["}`, `{}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := DecodeRequiredServices(data); err != nil && (r.All() || len(r.names) > 0) {
			t.Fatalf("%q is refused, and allows something", data)
		} else if _, ok := r.names[""]; ok {
			t.Fatalf("%q allows a service without a name", data)
		}
	})
}
