package browser

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
)

var update = flag.Bool("update", false, "write docs/board.png")

// TestTheBoardIsDarkWhereThatIsWanted, and still where motion is not.
func TestTheBoardIsDarkWhereThatIsWanted(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	v := s.Register("app-1", "camera", 30)
	light := "getComputedStyle(document.body).backgroundColor"
	bright := func(media ...string) int {
		b := open(t, s.URL+"/board", media...)
		b.shows(v.ID, "ACTIVE")
		b.shot(fmt.Sprint("look-", len(media)))
		if len(media) > 1 {
			require.Equal(t, "none", get[string](b, "getComputedStyle(document.querySelector('#rows .run')).transitionProperty.replace('all', 'none')"))
			require.Equal(t, "none", get[string](b, "getComputedStyle(document.querySelector('#pill-dot')).animationName"))
		}
		return get[int](b, "("+light+").match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0)")
	}
	require.Greater(t, bright(), 600)
	require.Less(t, bright("prefers-color-scheme=dark", "prefers-reduced-motion=reduce"), 150)
}

// TestEverythingIsReachedByTheKeyboard, and what is chosen stands in the address.
func TestEverythingIsReachedByTheKeyboard(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	alpha, beta := s.Register("app-1", "alpha", 30), s.Register("app-1", "beta", 30)
	gone := s.Register("app-2", "gamma", 1)
	b := open(t, s.URL+"/board")
	b.shows(alpha.ID, "ACTIVE")
	b.shows(beta.ID, "ACTIVE")
	b.shows(gone.ID, "SUSPENDED")

	b.press("/")
	require.Equal(t, "filter", get[string](b, "document.activeElement.id"))
	b.do(typed("alp"))
	b.until("only alpha is shown", "document.querySelectorAll('#rows tr').length === 1")
	require.Equal(t, "?name=alp", get[string](b, "location.search"))
	b.press(kb.Escape)
	b.until("all are shown", "document.querySelectorAll('#rows tr').length === 3")
	require.Empty(t, get[string](b, "location.search"))
	b.press(kb.Escape) // out of the field

	b.press(kb.ArrowDown)
	b.until("the first row is chosen", fmt.Sprintf("document.activeElement === document.querySelector('%s')", row(gone.ID)))
	require.Equal(t, "true", get[string](b, "document.activeElement.getAttribute('aria-selected')"))
	b.press(kb.ArrowDown)
	b.until("the next row is", fmt.Sprintf("document.activeElement === document.querySelector('%s')", row(alpha.ID)))
	b.press(kb.Enter)
	b.until("its panel is shown", "document.querySelector('#detail h2')?.innerText === 'alpha' && document.querySelector('#detail code')")
	require.Contains(t, get[string](b, "location.search"), "service="+alpha.ID)
	require.Contains(t, b.text("#detail"), "beta", "the other service of its application")
	b.shot("panel")
	b.press(kb.Escape)
	b.until("it is closed", "document.querySelector('#detail').hidden")
	b.until("the row has the focus again", fmt.Sprintf("document.activeElement === document.querySelector('%s')", row(alpha.ID)))

	b.press("?")
	b.until("the help is shown", "document.querySelector('#help').open")
	b.shot("help")
	b.press(kb.Escape)
	b.until("the help is closed", "!document.querySelector('#help').open")
	b.press("p")
	b.until("it is paused", "document.body.dataset.paused === 'true' && document.querySelector('#pause').getAttribute('aria-pressed') === 'true'")
	late := s.Register("app-3", "delta", 30)
	b.until("what happens meanwhile is counted", `/paused at .* [1-9]\d* changes? since/.test(document.querySelector('#pill-text').innerText)`)
	require.Zero(t, b.count(row(late.ID)), "and not shown")
	b.press("p")
	b.shows(late.ID, "ACTIVE")

	b.press("3")
	b.until("only SUSPENDED ones are shown", "document.querySelector('[data-tile=SUSPENDED]').getAttribute('aria-pressed') === 'true' && document.querySelectorAll('#rows tr').length === 1")
	require.Equal(t, "?state=SUSPENDED", get[string](b, "location.search"))
	b.do(chromedp.Reload())
	b.until("the address shows the same to anybody", fmt.Sprintf("document.querySelectorAll('#rows tr').length === 1 && document.querySelector('%s')", row(gone.ID)))
	require.Equal(t, "grid", get[string](b, "document.querySelector('#table').getAttribute('role')"))
	b.until("what happened before the page was opened has not been read aloud, and what happens will be", "document.querySelector('#log').getAttribute('aria-live') === 'polite'")
}

// smaller is a picture in fewer bytes: of the 256 colours that it has most of.
func smaller(t *testing.T, picture []byte) []byte {
	t.Helper()
	from, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	counts := map[color.Color]int{}
	for y := range from.Bounds().Dy() {
		for x := range from.Bounds().Dx() {
			counts[from.At(x, y)]++
		}
	}
	most := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	to := image.NewPaletted(from.Bounds(), most[:min(256, len(most))])
	draw.Draw(to, to.Bounds(), from, image.Point{}, draw.Src)
	var out bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to))
	return out.Bytes()
}

func TestAPictureIsMadeSmaller(t *testing.T) {
	t.Parallel()
	noisy := image.NewRGBA(image.Rect(0, 0, 300, 200))
	for i := range noisy.Pix {
		noisy.Pix[i] = byte(i*i>>7) | 3
	}
	var before bytes.Buffer
	require.NoError(t, png.Encode(&before, noisy))
	require.Less(t, len(smaller(t, before.Bytes())), before.Len())
}

// TestThePictureOfTheBoard is that of README, of services that are each in a state of their own.
func TestThePictureOfTheBoard(t *testing.T) {
	t.Parallel()
	chromium(t)
	const file = "../../docs/board.png"
	if !*update {
		old, err := os.Stat(file)
		require.NoError(t, err)
		require.LessOrEqual(t, old.Size(), int64(150<<10), "README loads it")
		t.Skip("only with -update: it is of a moment")
	}
	s := mep.Start(t, "MEP_LIVENESS_MIN_INTERVAL=1s")
	s.Subscribe("control-room", consumer.Start(t).URL, "")
	drained := s.Register("parking", "payment", 30)
	s.Want(200, "PUT", "/mec_liveness/v1/services/"+drained.ID+"/drain", `{"reason":"its disk is replaced"}`)
	var living []*mep.Service
	for _, of := range []struct {
		app, name string
		interval  int
	}{{"shop-cameras", "face-recognition", 2}, {"shop-cameras", "people-counting", 3}, {"parking", "plate-recognition", 4}, {"v2x-gateway", "v2x-information", 2}, {"v2x-gateway", "road-warnings", 3}} {
		v := s.Register(of.app, of.name, of.interval)
		t.Cleanup(beatingEvery(v, time.Duration(of.interval)*900*time.Millisecond))
		living = append(living, v)
	}
	quiet := s.Register("drone-fleet", "location", 2)
	b := open(t, s.URL+"/board")
	b.do(chromedp.EmulateViewport(1280, 730))
	b.shows(quiet.ID, "SUSPENDED")
	b.until("gaps are drawn", fmt.Sprintf("document.querySelectorAll('%s .spark rect').length >= 20", row(living[0].ID)))
	late := s.Register("drone-fleet", "video-analytics", 6)
	b.shows(late.ID, "late")
	picture := smaller(t, b.shot("board"))
	require.LessOrEqual(t, len(picture), 150<<10)
	require.NoError(t, os.WriteFile(file, picture, 0o644))
}
