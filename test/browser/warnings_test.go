package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
)

// banner is the text of a banner in the page; undefined: there is none.
func banner(key string) string {
	return fmt.Sprintf(`document.querySelector('.banner[data-key="%s"]')?.innerText`, key)
}

// TestWhatThePlatformHoldsBackIsSaidWithItsReasonAndItsEnd: after a mass death, and after a start.
func TestWhatThePlatformHoldsBackIsSaidWithItsReasonAndItsEnd(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	const many = 30
	var registering sync.WaitGroup
	for i := range many {
		registering.Go(func() { _, _ = s.TryRegister("factory", fmt.Sprintf("robot-%02d", i), 1) })
	}
	registering.Wait()
	b := open(t, s.URL+"/board?order=service")
	until := `until \d\d:\d\d:\d\d at the latest\.$`
	b.until("a mass death holds removals back", fmt.Sprintf(`/^Held back: Very many services vanished at once.*Since \d\d:\d\d:\d\d, %s/.test(%s)`, until, banner("held")))
	b.until("and no deaths", fmt.Sprintf(`/%d SUSPENDED/.test(document.querySelector('#counts').innerText) && document.querySelector('#verdict').innerText.endsWith(' and %d more are silent')`, many, many-1))
	require.Contains(t, b.text("#counts"), "the platform holds decisions back")
	require.Equal(t, "alert", get[string](b, "document.querySelector('#banners').getAttribute('role')"))
	b.shot("held-mass")

	v := s.Register("office", "printer", 8)
	stop := beating(v)
	b.shows(v.ID, "ACTIVE")
	stop()
	b.losing(true)
	s.Kill()
	time.Sleep(17 * time.Second) // its window is over when the server comes back, which has heard nothing
	s.Restart()
	b.until("a start gives each service its window again", fmt.Sprintf(`/^Held back: The platform was started: .*%s/.test(%s)`, until, banner("held")))
	b.shot("held-start")
	b.losing(false)
	b.shows(v.ID, "SUSPENDED")
}

// TestSubscribersThatFailAreShownWithWhatTheyAnswered, beside those that were told.
func TestSubscribersThatFailAreShownWithWhatTheyAnswered(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	good, bad := consumer.Start(t), consumer.Start(t)
	bad.Answer(http.StatusInternalServerError)
	s.Subscribe("control-room", good.URL, "")
	s.Subscribe("broken-screen", bad.URL, "")
	v := s.Register("app-1", "camera", 60)
	b := open(t, s.URL+"/board")
	b.shows(v.ID, "ACTIVE")
	b.until("the row says it", fmt.Sprintf(`/1 told.*1 failing/.test(document.querySelector('%s .c-told[data-failing]')?.textContent)`, row(v.ID)))
	b.until("the log says it", fmt.Sprintf(`/1 told.*1 failing/.test(document.querySelector('#log li[data-id="%s"] .told')?.textContent)`, v.ID))
	b.until("a banner says it", banner("failing")+"?.startsWith('1 subscriber does not take notifications')")
	b.do(chromedp.Click(chromedp.CSS(row(v.ID))))
	of := func(app string) string {
		return fmt.Sprintf(`[...document.querySelectorAll('#detail li')].find(e => e.innerText.includes('%s'))`, app)
	}
	b.until("the panel says who was told", of("control-room")+"?.innerText.startsWith('✓ told')")
	b.until("and who was not, and why", of("broken-screen")+"?.innerText.startsWith('✕ failing') && "+of("broken-screen")+".innerText.includes('error of its own')")
	b.until("the drawing says it", "document.querySelector('#detail .edge.failing') && document.querySelector('#detail .edge.told')")
	b.shot("failing")
	bad.Answer(http.StatusNoContent)
	b.until("it is told in the end", of("broken-screen")+"?.innerText.startsWith('✓ told') && "+of("broken-screen")+".dataset.failing !== 'true'")
	b.until("the warning goes", "!"+banner("failing"))
}

// TestUntilWhenAFlappingServiceIsPutOffIsShown, in the row and in the panel, as the state says it.
func TestUntilWhenAFlappingServiceIsPutOffIsShown(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, "MEP_NOTIFY_FLAP_CHANGES=2", "MEP_NOTIFY_FLAP_PERIOD=1h")
	v := s.Register("app-1", "camera", 60)
	b := open(t, s.URL+"/board")
	b.shows(v.ID, "ACTIVE")
	for _, state := range []string{"INACTIVE", "ACTIVE", "INACTIVE"} {
		s.Want(http.StatusOK, "PUT", v.Location, strings.Replace(mep.Info("camera", 60), `"state":"ACTIVE"`, `"state":"`+state+`"`, 1))
	}
	b.shows(v.ID, "INACTIVE")
	said := fmt.Sprintf(`/it flaps: 3 changes, subscribers are told at (\d\d:\d\d:\d\d)$/.exec(document.querySelector('%s .why').innerText)?.[1]`, row(v.ID))
	b.until("the row says it", said)
	b.do(chromedp.Click(chromedp.CSS(row(v.ID))))
	b.until("and the panel", fmt.Sprintf("document.querySelector('#detail').innerText.includes('subscribers are told at ' + %s)", said))
	var is struct{ Flapping struct{ Until time.Time } }
	require.NoError(t, json.Unmarshal(s.Want(http.StatusOK, "GET", "/mec_liveness/v1/state/"+v.ID, "").Body, &is))
	require.Greater(t, time.Until(is.Flapping.Until), 50*time.Minute)
	b.until("it is when the state says", fmt.Sprintf("new Date(%d).toTimeString().startsWith(%s)", is.Flapping.Until.UnixMilli(), said))
	b.shot("flapping")
}

// TestTheLastInstanceOfANameIsWarnedOf before it goes, and when it has gone.
func TestTheLastInstanceOfANameIsWarnedOf(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	first, second := s.Register("app-1", "camera", 2), s.Register("app-2", "camera", 2)
	one, two := beating(first), beating(second)
	defer one()
	defer two()
	b := open(t, s.URL+"/board")
	b.shows(first.ID, "ACTIVE")
	b.shows(second.ID, "ACTIVE")
	require.Zero(t, b.count(".banner"), "all is well")
	one()
	b.shows(first.ID, "SUSPENDED")
	b.until("one of two is left", banner("one")+" === 'Only 1 of 2 instances of camera is left.'")
	require.Equal(t, "true", get[string](b, fmt.Sprintf("document.querySelector('%s').dataset.warned", row(second.ID))))
	two()
	b.until("the last one is late", banner("doubt")+" === 'The last instance of camera is late.' || "+banner("none"))
	b.until("none is left", banner("none")+" === 'No instance is left of camera.'")
	b.until("the sentence names them", "document.querySelector('#verdict').innerText === '2 instances of camera are silent'")
	b.shot("last-gone")
	again := beating(second)
	defer again()
	b.until("one is back", banner("one"))
}
