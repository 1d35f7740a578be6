package issuer

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

func written(id, generation string, at heartbeat.Revision) plugins.Credential {
	return plugins.Credential{ID: id, Generation: generation, At: at}
}

// A replica that was cut off takes no token: the removal of its credential may be among what
// it did not see.
func TestAReplicaThatIsNotCurrentTakesNoToken(t *testing.T) {
	p := newPlatform(t, false)
	secret := p.added(t, NewCredential{ID: "app"})
	issued, err := p.Verify(t.Context(), p.tokenOf(t, "app", secret))
	require.NoError(t, err)
	p.clock = p.clock.Add(mostStale)
	require.NoError(t, p.Check(issued))
	p.clock = p.clock.Add(1)
	require.ErrorIs(t, p.Check(issued), heartbeat.ErrUnavailable)
	_, err = p.Verify(t.Context(), p.tokenOf(t, "app", secret))
	require.ErrorIs(t, err, heartbeat.ErrUnavailable, "nor a new one")
	p.store.fail = errors.New("no answer")
	_, err = p.grant(t.Context(), "app", secret, "", "192.0.2.1:1")
	require.ErrorIs(t, err, heartbeat.ErrUnavailable, "nor makes one without the store")
	for range 100 { // the same address, whose right secrets are no guesses
		_, err = p.grant(t.Context(), "app", secret, "", "192.0.2.1:1")
		require.ErrorIs(t, err, heartbeat.ErrUnavailable)
	}
	p.known.current(p.clock.Add(-time.Second))
	require.NoError(t, p.Check(issued))
	require.Equal(t, time.Second, p.known.age())

	p = newPlatform(t, false)
	p.known.asOf.Store(nil)
	require.False(t, p.known.ready())
	require.True(t, p.known.stale())
	p = newPlatform(t, true)
	p.known.asOf.Store(nil)
	require.True(t, p.known.ready())
	require.False(t, p.known.stale(), "what this process has not written is not written")
}

// A replica may be asked before it has seen what another just wrote.
func TestWhatAnotherReplicaJustMadeIsLookedUpOnce(t *testing.T) {
	a, b := newPlatform(t, false), newPlatform(t, false)
	b.store, b.known.store, b.private, b.clock = a.store, a.store, a.private, a.clock
	b.known.current(b.clock)
	secret := a.added(t, NewCredential{ID: "app"})
	token := a.tokenOf(t, "app", secret)
	issued, err := b.Verify(t.Context(), token)
	require.NoError(t, err)
	require.NoError(t, b.Check(issued), "and is remembered")
	_, err = b.grant(t.Context(), "app", secret, "", "192.0.2.1:1")
	require.NoError(t, err)
	_, next, err := a.accounts.Rotate(t.Context(), "app", 0)
	require.NoError(t, err)
	_, err = b.grant(t.Context(), "app", next, "", "192.0.2.1:1")
	require.NoError(t, err)

	require.NoError(t, a.accounts.Remove(t.Context(), "app"))
	b.known.see(written("app", "", 9), true)
	before := a.store.reads
	for range 50 {
		_, err = b.Verify(t.Context(), token)
		require.ErrorIs(t, err, server.ErrCredential)
	}
	require.Equal(t, before+1, a.store.reads, "what is not there is asked for once a second")
	b.clock = b.clock.Add(plugins.AbsenceTTL + 1)
	_, err = b.Verify(t.Context(), token)
	require.ErrorIs(t, err, server.ErrCredential)
	require.Equal(t, before+2, a.store.reads)
}

// Events of the watch may come after what this replica wrote itself, and lists after both.
func TestTheDirectoryBelievesTheNewestWrite(t *testing.T) {
	d := newDirectory(nil, true, time.Now)
	stands := func(want string) {
		t.Helper()
		got := ""
		if e := d.get("a"); e != nil {
			got = e.Generation
		}
		require.Equal(t, want, got)
	}
	d.load([]plugins.Credential{written("a", "1", 3)}, 5)
	stands("1")
	d.observe(written("a", "2", 8), false)
	stands("2")
	d.see(written("a", "1", 6), false)
	stands("2")
	d.observe(plugins.Credential{ID: "a", At: 9}, true)
	stands("")
	d.see(written("a", "2", 8), false)
	stands("")
	d.see(plugins.Credential{ID: "a", At: 9}, true)
	stands("")
	d.observe(written("a", "2", 8), false)
	stands("") // read before it was erased
	d.see(written("a", "3", 12), false)
	stands("3")
	d.load(nil, 11)
	stands("") // the store was restored: revision 12 never was
	d.load([]plugins.Credential{written("a", "4", 20)}, 21)
	stands("4")
	d.observe(written("a", "5", 25), false)
	d.load([]plugins.Credential{written("a", "4", 20)}, 22)
	stands("5")
	d.load([]plugins.Credential{written("a", "4", 20)}, 30)
	stands("4")
	require.Equal(t, 1, d.count())
}

// Each heartbeat looks a credential up: it must take no lock, and leave nothing behind.
func TestALookupOfACredentialAllocatesNothing(t *testing.T) {
	d := newDirectory(nil, false, time.Now)
	for i := range 1000 {
		d.observe(written(fmt.Sprint("app-", i), "g", heartbeat.Revision(i+1)), false)
	}
	d.current(time.Now().Add(time.Hour))
	d.mu.Lock() // as if changes never ended
	defer d.mu.Unlock()
	require.NoError(t, d.check("app-7", "g"))
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = d.check("app-7", "g") }))
}

func BenchmarkLookup(b *testing.B) {
	d := newDirectory(nil, false, time.Now)
	for i := range maxCredentials {
		d.observe(written(fmt.Sprint("app-", i), "g", heartbeat.Revision(i+1)), false)
	}
	d.current(time.Now().Add(time.Hour))
	for b.Loop() {
		if d.check("app-7777", "g") != nil {
			b.Fatal("it is there")
		}
	}
}
