package browser

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// beating sends the heartbeats of a service until the returned function is called.
func beating(v *mep.Service) (stop func()) { return beatingEvery(v, 500*time.Millisecond) }

func beatingEvery(v *mep.Service, every time.Duration) (stop func()) {
	ended := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for {
			v.Server.Beat(v.App, v.ID)
			select {
			case <-ended:
				return
			case <-time.After(every):
			}
		}
	})
	return sync.OnceFunc(func() { close(ended); sending.Wait() })
}

// TestTheLifeOfAServiceIsSeen: what somebody sees who opens the board and registers a service.
func TestTheLifeOfAServiceIsSeen(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	b := open(t, s.URL+"/")
	b.until("the address leads to the board", "location.pathname === '/board'")
	b.until("it says how to begin", "document.querySelector('#empty code')?.innerText.includes('curl')")
	require.Equal(t, "No service is registered yet\n0 ACTIVE · 0 SUSPENDED · 0 late · the platform trusts what it sees", b.text("#sentence"))
	b.shot("empty")
	if _, err := exec.LookPath("curl"); err == nil {
		out, err := exec.Command("sh", "-c", b.text("#empty code")).CombinedOutput()
		require.NoError(t, err, "%s", out)
		b.until("what was typed is there", "document.querySelector('#rows .name')?.innerText === 'my-first-service'")
	}

	v := s.Register("app-1", "camera", 4)
	stop := beating(v)
	defer stop()
	b.shows(v.ID, "ACTIVE")
	b.until("its last heartbeat is shown by the server's clock", fmt.Sprintf(`/^\d\.\d s ago$/.test(document.querySelector('%s .c-beat').innerText)`, row(v.ID)))
	b.until("what is left of its window is shown", fmt.Sprintf(`/^[0-8]\.\d s/.test(document.querySelector('%s .left-text').innerText)`, row(v.ID)))
	b.until("the gaps between its heartbeats are drawn", fmt.Sprintf(`document.querySelectorAll('%s .spark rect').length >= 3`, row(v.ID)))
	b.until("the stream is read", `document.querySelector('#pill').dataset.link === 'live'`)
	b.until("and how long ago something came", `/^Heard \d\.\d s ago\. As it is at revision [1-9]/.test(document.querySelector('#pill').title)`)
	b.until("in sight", `/^live · revision [1-9]\d* · \d\.\d s behind$/.test(document.querySelector('#pill-text').innerText)`)

	stop()
	b.until("it is late, in words, not by a colour alone", fmt.Sprintf(`document.querySelector('%s[data-kind="late"]')?.innerText.includes('late')`, row(v.ID)))
	b.until("the last instance is warned of", `document.querySelector('.banner[data-key="doubt"]')?.innerText.includes('camera') || document.querySelector('#rows tr[data-state="SUSPENDED"]')`)
	b.shows(v.ID, "SUSPENDED")
	b.until("it says why", fmt.Sprintf(`/^no heartbeat for \d+(\.\d+)? s \(interval 4 s, window 8 s\)/.test(document.querySelector('%s .c-why')?.innerText)`, row(v.ID)))
	b.until("it is at the top", fmt.Sprintf("document.querySelector('#rows tr').dataset.id === '%s' || document.querySelector('#rows tr').dataset.kind === 'SUSPENDED'", v.ID))
	b.until("the sentence says it", "/ [12] SUSPENDED /.test(document.querySelector('#sentence').innerText)")
	b.until("and which, in words of everyday", `/camera.* (is|are) silent$|more are silent$/.test(document.querySelector('#verdict').innerText)`)
	b.until("the title says it", "/SUSPENDED/.test(document.title)")
	transition := func(to string) string {
		return fmt.Sprintf(`[...document.querySelectorAll('#log li[data-id="%s"]')].find(e => e.dataset.to === '%s' && !e.classList.contains('before'))`, v.ID, to)
	}
	b.until("the transition is listed with its reason", transition("SUSPENDED")+"?.querySelector('.reason').innerText.startsWith('no heartbeat for')")
	require.Contains(t, get[string](b, transition("SUSPENDED")+".innerText"), "ACTIVE → ")
	b.shot("suspended")

	v.Beat()
	again := beating(v)
	defer again()
	b.shows(v.ID, "ACTIVE")
	b.until("it came back", transition("ACTIVE"))
	again()
	s.Want(204, "DELETE", v.Location, "")
	b.until("it is gone", fmt.Sprintf("!document.querySelector('%s')", row(v.ID)))
	b.until("that is listed", transition("removed"))
	b.shot("life")
}

// TestWhatAnotherReplicaHearsIsShownAsAnEstimate: its time is by the store.
func TestWhatAnotherReplicaHearsIsShownAsAnEstimate(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	v := s.Register("app-1", "camera", 30)
	b := open(t, s.URL+"/board")
	left, title := fmt.Sprintf("document.querySelector('%s .left-text').innerText", row(v.ID)), fmt.Sprintf("document.querySelector('%s .c-left').title", row(v.ID))
	b.shows(v.ID, "ACTIVE")
	b.until("what is left is shown", `/^(\d+|\d\.\d) (s|min)/.test(`+left+")")
	require.NotContains(t, get[string](b, title), "replica")
	get[int](b, `(() => { const real = window.fetch; window.fetch = async (...of) => {
		const answer = await real(...of);
		if (!/\/state(\?|$)/.test(String(of[0]))) return answer;
		const value = await answer.json();
		for (const service of value.services ?? []) service.estimated = true;
		return Response.json(value);
	}; return 0 })()`)
	b.until("it is an estimate", `/^about (\d+|\d\.\d) (s|min)/.test(`+left+")")
	require.Regexp(t, `^every 30 s, SUSPENDED after .* of silence: at \S+Z, by the store: another replica hears it$`, get[string](b, title))
}

// TestAServerThatIsKilledMakesTheDisplayStale: what is old must not be taken for the present.
func TestAServerThatIsKilledMakesTheDisplayStale(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	v := s.Register("app-1", "camera", 30)
	b := open(t, s.URL+"/board")
	b.shows(v.ID, "ACTIVE")
	b.until("it is live", `document.querySelector('#pill').dataset.link === 'live' && !document.body.dataset.stale`)
	icon := get[string](b, "document.querySelector('#icon').href")
	b.losing(true)
	s.Kill()
	b.until("the display is stale", "document.body.dataset.stale === 'true'")
	b.until("it says for how long", `/^no answer for \d+ s$/.test(document.querySelector('#pill-text').innerText)`)
	first := b.text("#pill-text")
	b.until("that is counted up", fmt.Sprintf("document.querySelector('#pill-text').innerText !== %q", first))
	require.Contains(t, b.text("#sentence"), "No answer for")
	require.Contains(t, get[string](b, "document.title"), "no answer for")
	require.NotEqual(t, icon, get[string](b, "document.querySelector('#icon').href"))
	require.Contains(t, b.text("#banners"), "This is old.")
	require.Equal(t, "grayscale(1)", get[string](b, "getComputedStyle(document.querySelector('#main')).filter"))
	left := b.text(row(v.ID) + " .left-text")
	time.Sleep(1200 * time.Millisecond) // more than one count
	require.Equal(t, left, b.text(row(v.ID)+" .left-text"), "nothing is counted down that nobody knows")
	b.shot("stale")

	s.Restart()
	b.until("it is live again", `!document.body.dataset.stale && document.querySelector('#pill').dataset.link === 'live'`)
	b.losing(false)
	b.shows(v.ID, "ACTIVE")
	w := s.Register("app-2", "microphone", 30)
	b.shows(w.ID, "ACTIVE")
	b.until("changes are told again", fmt.Sprintf(`document.querySelector('#log li[data-id="%s"]')`, w.ID))
	require.False(t, strings.Contains(get[string](b, "document.title"), "no answer"))
}
