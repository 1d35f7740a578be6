package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// A dead service stayed listed for as long as the platform was restarted every 10 s with
// a window of 15 s, and its liveness resource told each restart as its last heartbeat. At
// a window of 6 s and restarts every 5 s it is hidden once the platform has run for that
// window, all its starts together, and an interval since the last of them.
func TestASilenceOutlivesRestartsAndLivingServicesDoToo(t *testing.T) {
	t.Parallel()
	for _, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(how.String(), func(t *testing.T) {
			t.Parallel()
			s := mep.Start(t, "MEP_LIVENESS_MIN_INTERVAL=1s", "MEP_LIVENESS_ALLOWED_MISSES=2")
			dead, living := s.Register("app-1", "dead", 2), s.Register("app-1", "living", 2)
			time.Sleep(100 * time.Millisecond)
			dead.Beat()
			last := dead.Last
			stop := time.Now().Add(4 * time.Second)
			hiddenIn := 0
			for life := 1; life <= 5; life++ {
				for time.Now().Before(stop) {
					if time.Since(living.Last) > time.Second {
						living.Beat()
					}
					require.True(t, living.Discovered(), "a living service is hidden, %v after the last heartbeat of the dead one", time.Since(last))
					if hiddenIn == 0 && !dead.Discovered() {
						require.GreaterOrEqual(t, time.Since(last), 6*time.Second, "hidden before its window was over")
						hiddenIn = life
					}
					time.Sleep(100 * time.Millisecond)
				}
				stamp := s.Want(200, "GET", dead.Liveness, "").Object(t)["timeStamp"].(map[string]any)
				told := time.Unix(int64(stamp["seconds"].(float64)), int64(stamp["nanoSeconds"].(float64)))
				require.False(t, told.After(last.Add(time.Second)), "told as heard %v after its last heartbeat", told.Sub(last))
				s.Signal(how)
				s.Wait()
				s.Restart()
				stop = time.Now().Add(5 * time.Second)
			}
			require.NotZero(t, hiddenIn, "not hidden in five starts")
			require.LessOrEqual(t, hiddenIn, 3, "hidden by the third start")
			wait.Until(t, "SUSPENDED", func() bool { return dead.State() == "SUSPENDED" })
			require.Equal(t, "ACTIVE", living.State())
			t.Logf("%s: hidden in start %d, %v after its last heartbeat", how, hiddenIn, time.Since(last))
		})
	}
}
