package conf

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMisspeltVariableIsSeenAndKubernetesOwnIsNot(t *testing.T) {
	for name, want := range map[string]string{
		"MEP_PLATFORM_ENDPOINT": "MEP_PLATFORM_ENDPOINTS",
		"MEP_PLATFORMENDPOINTS": "MEP_PLATFORM_ENDPOINTS",
		"MEP_PLATFORM_CAFILE":   "MEP_PLATFORM_CA_FILE",
		"MEP_Log_Level":         "MEP_LOG_LEVEL",
		"MEP_LOCAL_LISTENS":     "MEP_LOCAL_LISTEN",

		"MEP_PLATFORM_ENDPOINTS": "", "MEP_IP": "", "MEP_APIGW_PORT": "", "MEP_SOMETHING_ELSE": "", "PATH": "", "MEP_": "",
		// what Kubernetes sets for Services named mep, mep-local and mep-platform-endpoint
		"MEP_SERVICE_HOST": "", "MEP_SERVICE_PORT": "", "MEP_PORT": "", "MEP_PORT_8443_TCP": "", "MEP_PORT_8443_TCP_PROTO": "",
		"MEP_PORT_8443_TCP_PORT": "", "MEP_PORT_8443_UDP_ADDR": "", "MEP_LOCAL_SERVICE_HOST": "", "MEP_LOCAL_SERVICE_PORT_HTTP": "",
		"MEP_LOCAL_PORT": "", "MEP_PLATFORM_ENDPOINT_PORT": "",
	} {
		got := MisspeltAgent([]string{name + "=x"})
		if want == "" {
			require.Empty(t, got, name)
			continue
		}
		require.Equal(t, []Misspelt{{name, want}}, got)
	}
	require.Empty(t, MisspeltAgent([]string{"MEP_PLATFORM_ENDPOINT="}), "an empty variable is not set")
	require.Equal(t, []Misspelt{{"MEP_STORE_DATADIR", "MEP_STORE_DATA_DIR"}}, MisspeltServer([]string{"MEP_STORE_DATADIR=x"}))
}
