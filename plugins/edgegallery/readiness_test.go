package edgegallery

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
)

// An application is being configured from the answer to MECM until its task has ended.
func TestAnApplicationIsConfiguredUntilItsTaskHasEnded(t *testing.T) {
	inSite(t, func(t *testing.T, s *site) {
		require.False(t, s.kept.configuring("app-1"))
		s.rules.silent = true
		id := s.asked(t, http.MethodPost, withDNS)
		require.True(t, s.kept.configuring("app-1"))
		require.False(t, s.kept.configuring("app-2"))
		time.Sleep(time.Hour) // of the bubble
		synctest.Wait()
		require.NotEqual(t, plugins.TaskProcessing, s.polled(t, id).ConfigResult)
		require.False(t, s.kept.configuring("app-1"))
	})
}
