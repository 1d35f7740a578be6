package servicecenter

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func infoOf(t *testing.T) (info mp1.ServiceInfo) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(attributes), &info))
	return info
}
