package external

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proxy"
	"github.com/mec-liveness/mepserver/test/wait"
)

const (
	credentials = "/mec_liveness/v1/credentials"
	revocation  = 2 * time.Second // how long a token may outlive its credential
)

// secureReplicas are two with one signing key. The second reaches the cluster over a link
// that can be broken.
func secureReplicas(t *testing.T) (a, b *mep.Secured, link *proxy.Proxy) {
	t.Helper()
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	link = proxy.Start(t, strings.TrimPrefix(c.Endpoints()[0], "http://"))
	a = mep.Options{Endpoints: c.Endpoints(), Env: mep.Fast}.Secure(t)
	b = mep.Options{Endpoints: []string{"http://" + link.Addr}, Env: append([]string{"MEP_IDENTITY_ISSUER_KEY_FILE=" + a.IssuerKey}, mep.Fast...)}.Secure(t)
	return a, b, link
}

// asked is what a replica answers to a token.
func asked(r *mep.Secured, token string) int {
	return r.WithToken(token).Do(http.MethodGet, mep.Base+"/services", "").Status
}

// What one replica made the other takes at once, without waiting for the watch, and what one
// removed ends at the other.
func TestATokenEndsWithItsCredentialOnEveryReplica(t *testing.T) {
	a, b, _ := secureReplicas(t)
	var slowest time.Duration
	for _, name := range []string{"app-1", "app-2", "app-3", "app-4", "app-5"} {
		c := a.Add(name)
		token := a.Token(c)
		require.Equal(t, http.StatusOK, asked(b, token), "made a moment ago at the other")
		require.Equal(t, http.StatusOK, asked(a, b.Token(c)))
		id := b.WithToken(token).Register(name, "n", 30).ID
		require.Equal(t, http.StatusNoContent, a.WithToken(token).Beat(name, id))
		require.Equal(t, http.StatusNoContent, a.Admin(http.MethodDelete, credentials+"/"+name, "").Status)
		removed := time.Now()
		require.Equal(t, http.StatusUnauthorized, asked(a, token), "at once where it was removed")
		wait.Until(t, "the token ends at the other", func() bool { return asked(b, token) == http.StatusUnauthorized })
		slowest = max(slowest, time.Since(removed))
		_, _, err := b.TryToken(c)
		require.ErrorContains(t, err, "401")
	}
	t.Logf("a token ended at the other replica %s after its credential was removed, at the latest", slowest.Round(time.Millisecond))
}

// A replica that is cut off from the cluster cannot know what was removed. From the moment on
// from which it must know, it takes no token; it does not wait until the watch is given up.
func TestAReplicaThatIsCutOffTakesNoTokenAfterTwoSeconds(t *testing.T) {
	for name, mode := range map[string]proxy.Mode{"silent": proxy.Blackhole, "half": proxy.HalfDown, "refused": proxy.Refuse} {
		t.Run(name, func(t *testing.T) {
			a, b, link := secureReplicas(t)
			gone, stays := a.Add("gone"), a.Add("stays")
			lost, kept := a.Token(gone), a.Token(stays)
			require.Equal(t, http.StatusOK, asked(b, lost))
			require.Equal(t, http.StatusOK, asked(b, kept))

			link.Set(mode)
			require.Equal(t, http.StatusNoContent, a.Admin(http.MethodDelete, credentials+"/gone", "").Status)
			removed := time.Now()
			answers := map[int]int{}
			for time.Since(removed) < 3*revocation {
				late := time.Since(removed) >= revocation
				status := asked(b, lost)
				require.False(t, late && status == http.StatusOK, "a token was taken more than %s after its credential was removed", revocation)
				answers[status]++
				time.Sleep(20 * time.Millisecond)
			}
			require.Positive(t, answers[http.StatusServiceUnavailable], "%v", answers)
			require.Equal(t, http.StatusServiceUnavailable, asked(b, kept), "nor others: which were removed is not known")
			require.Equal(t, http.StatusOK, asked(a, kept), "the other replica goes on")

			link.Set(proxy.Pass)
			wait.Until(t, "what was left is taken again", func() bool { return asked(b, kept) == http.StatusOK })
			require.Equal(t, http.StatusUnauthorized, asked(b, lost))
			t.Logf("answers to the removed one's token while the replica was cut off: %v", answers)
		})
	}
}
