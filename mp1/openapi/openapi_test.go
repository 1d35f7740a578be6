package openapi

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePageShowsEverythingAndLoadsNothing(t *testing.T) {
	html, policy, err := Page()
	require.NoError(t, err)
	text := string(html)
	for _, want := range []string{"/mec_service_mgmt/v1/applications/{appInstanceId}/services/{serviceId}/liveness", "PATCH", "ser_category_id", "AppInfo",
		"If-Match", "Retry-After", "array of ServiceInfo", "nanoSeconds", "webhook-id"} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "<script")
	require.NotContains(t, text, "ZgotmplZ", "what the template took for dangerous")
	require.Empty(t, regexp.MustCompile(`(?:src|href)="(?:[a-z]+:)?//`).FindString(text), "nothing from elsewhere")
	require.True(t, strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-"))
	require.Equal(t, 1, strings.Count(text, "<style>"))
	for _, ref := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(text, -1) {
		require.Contains(t, text, `id="`+ref[1]+`"`)
	}
}
