package kong

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// A name is stored until the gateway has confirmed that it is gone, by whichever run.
func TestARemovedNameIsKeptUntilTheGatewayConfirmsIt(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		_, stop := p.start()
		p.register(id32(1), "face", "http://10.0.0.1/")
		synctest.Wait()
		p.kong.Refuse(func(r *http.Request) int {
			if r.Method == http.MethodDelete {
				return http.StatusServiceUnavailable
			}
			return 0
		})
		p.register(id32(1), "face")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, p.kong.Entries(), 1)
		require.Len(t, p.stored()[id32(1)].Removed, 1)
		stop()
		p.replicas = nil
		p.kong.Refuse(nil)
		_, stop = p.start()
		defer stop()
		synctest.Wait()
		require.Empty(t, p.kong.Entries())
		require.Empty(t, p.stored())
	})
}

// One replica publishes, all show the same URLs, and the next takes over.
func TestOneReplicaPublishesAndTheNextTakesOver(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		first, stopFirst := p.start()
		second, stopSecond := p.start()
		defer stopSecond()
		synctest.Wait() // both have looked
		info := p.register(id32(1), "face", "http://10.0.0.1/")
		require.Equal(t, first.Endpoint(&info), second.Endpoint(&info))
		synctest.Wait()
		require.Len(t, slices.DeleteFunc(p.kong.Calls(), func(c string) bool { return !strings.HasPrefix(c, "PUT /services/face") }), 2)
		stopFirst()
		p.ranks.mu.Lock()
		p.ranks.first = second
		p.ranks.mu.Unlock()
		p.register(id32(1), "face", "http://10.0.0.2/")
		time.Sleep(leadEvery)
		synctest.Wait()
		require.Equal(t, []string{"http://10.0.0.2:80/"}, slices.Collect(mapsValues(p.kong.Entries())))
	})
}

// A refused entry is its service's matter alone.
func TestARefusedEntryHoldsUpNoOther(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		p.kong.Refuse(func(r *http.Request) int {
			if strings.HasPrefix(r.URL.Path, "/services/bad") && r.Method == http.MethodPut {
				return http.StatusBadRequest
			}
			return 0
		})
		_, stop := p.start()
		defer stop()
		p.register(id32(1), "bad", "http://10.0.0.1/")
		p.register(id32(2), "good", "http://10.0.0.2/")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Len(t, p.kong.Entries(), 1)
		require.Equal(t, 1, p.log.count("refuses an entry"))
		require.Less(t, len(p.kong.Calls()), 200)
		p.kong.Refuse(nil)
		time.Sleep(lookEvery)
		synctest.Wait()
		require.Len(t, p.kong.Entries(), 2)
	})
}

// A full store takes no new entries, and nothing is published that it does not know; removals go
// on.
func TestNothingIsPublishedThatIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		_, stop := p.start()
		defer stop()
		p.register(id32(1), "old", "http://10.0.0.1/")
		synctest.Wait()
		p.setFail(heartbeat.ErrFull)
		for n := range 50 {
			p.register(id32(n+10), "new", "http://10.0.0.2/")
		}
		p.register(id32(1), "old")
		time.Sleep(time.Minute)
		synctest.Wait()
		services, _, _ := p.kong.Count()
		require.Zero(t, services)
		require.Equal(t, 1, p.log.count("cannot be stored"))
		p.setFail(errors.New("away"))
		time.Sleep(time.Minute)
		p.setFail(nil)
		time.Sleep(longestWait)
		synctest.Wait()
		require.Len(t, p.kong.Entries(), 50)
	})
}

// What has no lists is told everything again, as often as it is looked at.
func TestAGatewayWithoutListsIsToldEverythingAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		p.kong.Refuse(func(r *http.Request) int {
			if r.Method == http.MethodGet {
				return http.StatusMethodNotAllowed
			}
			return 0
		})
		_, stop := p.start()
		defer stop()
		p.register(id32(1), "face", "http://10.0.0.1/")
		synctest.Wait()
		p.kong.Empty()
		time.Sleep(lookEvery)
		synctest.Wait()
		require.Len(t, p.kong.Entries(), 1)
		p.register(id32(1), "face")
		synctest.Wait()
		require.Empty(t, p.kong.Entries())
	})
}

// What answers slowly, with something else or with secrets in its text does no harm.
func TestAStrangeGatewayDoesNoHarm(t *testing.T) {
	for name, status := range map[string]int{"a redirect": 302, "no access": 403, "a fault": 500, "nobody": 404, "busy": 429} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, p *platform) {
				p.kong.Refuse(func(r *http.Request) int {
					if r.Method == http.MethodGet && status == 404 {
						return 200 // without data: an empty list
					}
					return status
				})
				_, stop := p.start()
				defer stop()
				p.register(id32(1), "face", "http://10.0.0.1/")
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Equal(t, 1, p.log.count("WARN"))
				p.kong.Refuse(nil)
				time.Sleep(longestWait)
				synctest.Wait()
				require.Len(t, p.kong.Entries(), 1)
			})
		})
	}
	inBubble(t, func(t *testing.T, p *platform) {
		p.kong.SetDelay(2 * Timeout)
		_, stop := p.start()
		defer stop()
		p.register(id32(1), "face", "http://10.0.0.1/")
		time.Sleep(time.Minute)
		require.Equal(t, 1, p.log.count("WARN"))
		p.kong.SetDelay(0)
		time.Sleep(longestWait + 2*Timeout)
		synctest.Wait()
		require.Len(t, p.kong.Entries(), 1)
	})
}
