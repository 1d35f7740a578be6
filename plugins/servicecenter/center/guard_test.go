package center

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestANullInAListReachesNoController(t *testing.T) {
	for path, body := range map[string]string{
		"PUT /v4/default/registry/heartbeats":     `{"instances":[null]}`,
		"POST /v4/default/registry/microservices": `{"service":{"appId":"null","serviceName":"h","version":"1.0"},"instances":[null]}`,
	} {
		method, path, _ := strings.Cut(path, " ")
		status, _, answer := web.Send(t, method, path, body)
		require.Equal(t, 400, status, answer)
		require.NotContains(t, answer, "runtime error")
	}
	status, _, answer := web.Send(t, "POST", "/v4/default/registry/microservices", `{"service":{"appId":"null","serviceName":"h","version":"1.0"},"rules":[null]}`)
	require.Equal(t, 400, status, answer)
}
