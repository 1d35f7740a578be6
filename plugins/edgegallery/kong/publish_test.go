package kong

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// The life of a service: each endpoint is an entry behind a token, and what is gone is gone there.
func TestEndpointsArePublishedChangedAndRemoved(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		g, stop := p.start()
		defer stop()
		info := p.register(id32(1), "face", "http://10.0.0.5:8080/", "https://face.example/v1")
		names := namesIn(g.Endpoint(&info))
		require.Regexp(t, `^face[0-9a-f]{20}$`, names[0])
		synctest.Wait()
		require.Equal(t, map[string]string{names[0]: "http://10.0.0.5:8080/", names[1]: "https://face.example:443/v1"}, p.kong.Entries())
		require.Equal(t, []string{"PUT /services/" + names[0], "POST /services/" + names[0] + "/plugins", "PUT /services/" + names[0] + "/routes/" + names[0]},
			slices.DeleteFunc(p.kong.Calls(), func(c string) bool { return !strings.Contains(c, names[0]) }), "the plugin before the route")

		info = p.register(id32(1), "face", "https://face.example/v1", "http://10.0.0.6:8080/")
		after := namesIn(g.Endpoint(&info))
		require.Equal(t, names[1], after[0], "what stays keeps its name")
		require.NotContains(t, names, after[1])
		synctest.Wait()
		require.Equal(t, map[string]string{after[0]: "https://face.example:443/v1", after[1]: "http://10.0.0.6:8080/"}, p.kong.Entries())
		services, routes, tokens := p.kong.Count()
		require.Equal(t, []int{2, 2, 2}, []int{services, routes, tokens})

		p.register(id32(1), "face")
		synctest.Wait()
		services, routes, tokens = p.kong.Count()
		require.Equal(t, []int{0, 0, 0}, []int{services, routes, tokens})
		require.Empty(t, p.stored())
		require.Empty(t, g.services.of, "nothing is remembered of it")
		require.Empty(t, p.kong.Open())
	})
}

// The store may show late that the entries are gone, and what is registered again must not wait for
// the next look at Kong.
func TestAServiceThatComesBackWhileItsEntriesGoIsPublishedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		_, stop := p.start()
		defer stop()
		p.late = 2 * time.Second
		p.register(id32(1), "face", "http://10.0.0.5:8080/")
		synctest.Wait()
		p.register(id32(1), "face", []string{}...)
		synctest.Wait()
		require.Empty(t, p.kong.Entries())
		p.register(id32(1), "face", "http://10.0.0.5:8080/")
		time.Sleep(p.late + time.Second)
		synctest.Wait()
		require.Len(t, p.kong.Entries(), 1)
	})
}

// A new service changes nothing of others, and what changes no endpoint asks nobody.
func TestWhatChangesNoEndpointAsksNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		_, stop := p.start()
		defer stop()
		p.register(id32(1), "face", "http://10.0.0.5:8080/")
		synctest.Wait()
		before := len(p.kong.Calls())
		info := p.register(id32(1), "face", "http://10.0.0.5:8080/")
		info.Version = "2"
		p.put(info, true)
		p.mu.Lock()
		s := p.services[id32(1)]
		p.mu.Unlock()
		s.Record.State = heartbeat.Suspended
		p.replicas[0].Changed(id32(1), &s)
		synctest.Wait()
		require.Len(t, p.kong.Calls(), before)
		require.Zero(t, p.log.count("\n"))
	})
}

// A registration does not wait for the gateway, nothing is lost meanwhile, and the log says so
// once.
func TestAGatewayThatIsAwayDelaysPublishingAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		_, stop := p.start()
		defer stop()
		p.register(id32(1), "gone", "http://10.0.0.1/")
		synctest.Wait()
		p.kong.SetDown(true)
		for n := range 20 {
			p.register(id32(n+10), "face", fmt.Sprintf("http://10.0.1.%d/", n))
		}
		p.register(id32(1), "gone")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Equal(t, 1, p.log.count("WARN"))
		calls := len(p.kong.Calls())
		require.Less(t, calls, 200, "it is not asked in a loop")
		p.kong.SetDown(false)
		time.Sleep(longestWait)
		synctest.Wait()
		require.Len(t, p.kong.Entries(), 20)
		services, routes, tokens := p.kong.Count()
		require.Equal(t, []int{20, 20, 20}, []int{services, routes, tokens}, "what was removed meanwhile is gone too")
		require.Equal(t, 1, p.log.count("published at the gateway again"))
	})
}

func TestWhatTheGatewayLosesIsPublishedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		_, stop := p.start()
		defer stop()
		for n := range 2000 { // more than a page
			p.register(id32(n), "face", fmt.Sprintf("http://face%d.example/", n))
		}
		synctest.Wait()
		all := p.kong.Entries()
		require.Len(t, all, 2000)
		calls := len(p.kong.Calls())
		time.Sleep(10 * lookEvery)
		synctest.Wait()
		require.LessOrEqual(t, len(p.kong.Calls())-calls, 10*9, "it is only looked at while nothing is missing")
		p.kong.Empty()
		time.Sleep(lookEvery)
		synctest.Wait()
		require.Equal(t, all, p.kong.Entries())
	})
}

// After a restart the gateway has what it had, and is not told again.
func TestARestartPublishesNothingTwiceAndRemovesWhatWentMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		_, stop := p.start()
		p.register(id32(1), "face", "http://10.0.0.1/")
		p.register(id32(2), "map", "http://10.0.0.2/")
		synctest.Wait()
		all := p.kong.Entries()
		stop()
		p.replicas = nil
		p.register(id32(2), "map")
		calls := len(p.kong.Calls())
		_, stop = p.start()
		defer stop()
		synctest.Wait()
		for name, link := range all {
			if link == "http://10.0.0.2:80/" {
				delete(all, name)
			}
		}
		require.Equal(t, all, p.kong.Entries())
		for _, c := range p.kong.Calls()[calls:] {
			require.NotContains(t, c, "PUT")
		}
		services, routes, tokens := p.kong.Count()
		require.Equal(t, []int{1, 1, 1}, []int{services, routes, tokens})
	})
}

// Whatever moment a crash falls into, the next run finds what the gateway may have.
func TestACrashAtAnyRequestLeavesNothingBehind(t *testing.T) {
	for most := range 14 {
		inBubble(t, func(t *testing.T, p *platform) {
			n := 0
			p.kong.Refuse(func(*http.Request) int {
				if n++; n > most {
					return http.StatusServiceUnavailable // the process is as good as dead
				}
				return 0
			})
			_, stop := p.start()
			p.register(id32(1), "face", "http://10.0.0.1/")
			synctest.Wait()
			p.register(id32(1), "face", "http://10.0.0.2/")
			synctest.Wait()
			require.Empty(t, p.kong.Open(), most)
			stop()
			p.replicas = nil
			p.kong.Refuse(nil)
			p.register(id32(1), "face")
			_, stop = p.start()
			defer stop()
			synctest.Wait()
			services, routes, tokens := p.kong.Count()
			require.Equal(t, []int{0, 0, 0}, []int{services, routes, tokens}, "after %d requests", most)
			require.Empty(t, p.stored())
		})
	}
}

// The names of an import stay, and what the original's mepauth made is never touched.
func TestImportedNamesStay(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		p.kong.SetUpPlatform("http://10.0.0.9:8088", "http://10.0.0.9:10443", "")
		const was = "face0123456789abcdef0123"
		id := heartbeat.ID(strings.Repeat("a", 32))
		p.entries[id] = plugins.GatewayEntries{ID: id, Names: map[string]string{"HTTP://10.0.0.5:8080/": was, "http://else/": "mepserver"}, Removed: []string{"mepauth"}, At: 1}
		p.at = 1
		info := mp1.ServiceInfo{SerInstanceID: string(id), SerName: "face", Version: "1", Serializer: "JSON", TransportInfo: &mp1.TransportInfo{ID: "t", Protocol: "HTTP",
			Endpoint: mp1.EndPointInfo{Addresses: []mp1.Address{{Host: "10.0.0.5", Port: 8080}}}}}
		p.put(info, true)
		g, stop := p.start()
		defer stop()
		synctest.Wait()
		require.Equal(t, []string{was}, namesIn(g.Endpoint(&info)))
		require.Equal(t, map[string]string{was: "http://10.0.0.5:8080/"}, p.kong.Entries())
		p.put(info, false)
		synctest.Wait()
		services, routes, _ := p.kong.Count()
		require.Equal(t, []int{2, 2}, []int{services, routes}, "the platform's own")
		require.Empty(t, p.stored())
	})
}

// Entries may be shown before their service: two watches have no order.
func TestEntriesWithoutTheirServiceAreNotTakenForLeftovers(t *testing.T) {
	inBubble(t, func(t *testing.T, p *platform) {
		const was = "face0123456789abcdef0123"
		_, stop := p.start()
		defer stop()
		p.mu.Lock()
		replicas := p.replicas
		p.replicas = nil
		p.mu.Unlock()
		p.register(id32(1), "face", "http://10.0.0.1/")
		_, err := p.write(plugins.GatewayEntries{ID: id32(1), Names: map[string]string{"http://10.0.0.1/": was}}, false)
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, was, p.stored()[id32(1)].Names["http://10.0.0.1/"])
		p.mu.Lock()
		p.replicas = replicas
		s := p.services[id32(1)]
		p.mu.Unlock()
		replicas[0].Changed(id32(1), &s)
		synctest.Wait()
		require.Equal(t, map[string]string{was: "http://10.0.0.1:80/"}, p.kong.Entries())
	})
}
