package etcd

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
)

// stalled takes an answer's first piece, and no more until it is let go.
type stalled struct {
	*httptest.ResponseRecorder
	reached, letGo chan struct{}
	once           sync.Once
}

func (s *stalled) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.reached) })
	<-s.letGo
	return len(p), nil
}

// backedUp begins a backup that nobody reads on. letGo ends it and returns once it has.
func backedUp(t *testing.T, c *Client, said *etcdtest.Lines) (letGo func()) {
	t.Helper()
	w := &stalled{ResponseRecorder: httptest.NewRecorder(), reached: make(chan struct{}), letGo: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.ServeBackup(plugins.NewLog(said, "INFO")).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/backup", nil))
	}()
	select {
	case <-w.reached:
	case <-done: // it was cut off before its first piece
	}
	return func() { close(w.letGo); <-done }
}

func filled(t *testing.T) (*Client, *etcdtest.Lines) {
	t.Helper()
	c, said := opened(t, t.TempDir())
	for range 20 {
		_, err := c.Put(t.Context(), "/mep/x", strings.Repeat("x", 100_000))
		require.NoError(t, err)
	}
	return c, said
}

// A backup that somebody takes and does not read keeps nobody waiting: the store is
// copied later, or the backup is cut off if the store takes no writes before.
func TestABackupThatNobodyReadsKeepsNobodyWaiting(t *testing.T) {
	c, said := filled(t)
	defer c.Close()
	letGo := backedUp(t, c, said)
	c.upkeep.perform(t.Context(), quota.Work{Defragment: true, Reason: quota.BySize})
	require.Contains(t, said.String(), "a backup is being taken")
	_, err := c.Put(t.Context(), "/mep/y", "y")
	require.NoError(t, err)

	raiseAlarm(t, c)
	c.upkeep.perform(t.Context(), quota.Work{Defragment: true, Disarm: true, Reason: quota.ByNeed})
	require.False(t, c.upkeep.alarmed(), "%s", said)
	_, err = c.Put(t.Context(), "/mep/y", "y")
	require.NoError(t, err)
	letGo()
	require.Contains(t, said.String(), errBackupFull.Error())
}

func TestABackupHasNoMoreThanItsTime(t *testing.T) {
	c, said := filled(t)
	defer c.Close()
	c.upkeep.backups.time = func(int64) time.Duration { return time.Millisecond }
	letGo := backedUp(t, c, said)
	require.NoError(t, c.upkeep.backups.acquire(t.Context(), time.Minute), "nothing is held any more, though nobody has read it")
	c.upkeep.backups.release()
	letGo()
	require.Contains(t, said.String(), errBackupSlow.Error())
	require.Equal(t, time.Minute+1024*time.Second, backupTime(1<<30))
}
