package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// What EdgeGallery's clients leave out is completed for them, and for nobody else.
func TestDescriptionsAreCompletedOnlyUnderCompat(t *testing.T) {
	const bare = `{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON"`
	for _, tt := range []struct {
		method, path, body string
		plain, compat      int
	}{
		{"POST", mp1.Base + "/applications/app/services", bare + `}`, 400, 201},
		{"POST", mp1.Base + "/applications/app/services", bare + `,"transportId":"Rest1"}`, 400, 201},
		{"POST", mp1.Base + "/applications/app/services", bare + `,"serCategory":{"id":"c"},"transportInfo":{"endpoint":{"uris":["http://h"]}}}`, 400, 201},
		{"PUT", servicePath, bare + `,"transportInfo":{"id":"t","type":""}}`, 400, 200},
		{"PUT", servicePath, bare + `,"transportId":"Rest1"}`, 400, 200},
		{"POST", mp1.Base + "/applications/app/services", `{"serName":"n"}`, 400, 400},
	} {
		for compat, want := range map[bool]int{false: tt.plain, true: tt.compat} {
			m := http.NewServeMux()
			for _, r := range Routes(newFakeRegistry(), Options{RetryAfter: 3, EdgeGallery: compat}) {
				m.Handle(r.Pattern, r.Handler)
			}
			w := httptest.NewRecorder()
			m.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
			require.Equal(t, want, w.Code, "%s %s compat %t: %s", tt.method, tt.body, compat, w.Body)
		}
	}
}
