package agent

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// A newer agent has asked for heartbeats and is gone, and the platform has suspended the service.
func TestWhatNeedsNoHeartbeatsIsBeatenWhenItNeedsThem(t *testing.T) {
	for _, keeps := range []bool{true, false} {
		t.Run(fmt.Sprintf("agents kept %t", keeps), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakePlatform(10)
				f.keeps = keeps
				o := options(f, 1)
				o.Services[0].Info.LivenessInterval = nil
				r := run(t, o)
				advance(10 * time.Minute)
				gets := f.sent(http.MethodGet, "/services/id0001")
				if !keeps {
					require.Empty(t, gets)
					require.NoError(t, r.stop())
					return
				}
				for i, gap := range gaps(gets) {
					require.LessOrEqual(t, gap, rereadInterval, "reading %d", i)
					require.GreaterOrEqual(t, gap, rereadInterval*9/10, "reading %d", i)
				}
				require.GreaterOrEqual(t, len(gets), 20)
				require.Empty(t, f.sent(http.MethodPut, ""))

				seconds := 10
				info := f.registered()["id0001"]
				info.Serializer, info.LivenessInterval = "XML", &seconds
				info.Links = &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: mp1.Base + "/applications/app/services/id0001/liveness"}}
				f.add("id0001", info)
				f.suspend("id0001")
				advance(rereadInterval + interval)
				f.wantAlive(t, "id0001")
				require.EqualValues(t, "XML", f.registered()["id0001"].Serializer, "the newer agent's word")
				require.Equal(t, "beating", r.Status()[0].State)
				require.Len(t, f.agents["id0001"], 1)
				require.True(t, r.Ready())
				n := len(f.sent(http.MethodGet, "/services/id0001"))
				advance(10 * interval)
				require.Len(t, f.sent(http.MethodGet, "/services/id0001"), n, "heartbeats tell")
				require.NoError(t, r.stop())
				require.Empty(t, f.registered())
			})
		})
	}
}

func TestWhatNeedsNoHeartbeatsIsMissedWhenItIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := keeping(10)
		o := options(f, 3)
		for i := range o.Services {
			o.Services[i].Info.LivenessInterval = nil
		}
		r := run(t, o)
		advance(interval)
		f.respondWith(func(*http.Request, int) response { return response{err: refusedDial()} })
		advance(10 * time.Minute)
		require.True(t, r.Ready(), "a platform that is away has lost nothing")
		f.respondWith(nil)
		advance(time.Minute)
		require.Len(t, f.registrations(), 3)
		f.forgetAll()
		advance(rereadInterval + 2*time.Second)
		f.wantAlive(t, "id0004", "id0005", "id0006")
		require.True(t, r.Ready())
		require.NoError(t, r.stop())
		require.Empty(t, f.registered())
	})
}
