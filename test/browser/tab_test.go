package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience is how long something is waited for that must happen.
const patience = 60 * time.Second

// tab is a page in a browser of its own. Whatever that complains of fails the test.
type tab struct {
	t    *testing.T
	ctx  context.Context
	mu   sync.Mutex
	all  []string // complaints
	lost bool     // requests may fail: the server is gone
}

// chromium is the path of the browser.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no Chromium here; on Debian: apt-get install chromium")
	return ""
}

// open opens a page in a new browser, 1280 × 800 unless told otherwise. media are features of the
// reader, such as prefers-color-scheme=dark.
func open(t *testing.T, url string, media ...string) *tab {
	t.Helper()
	dir, err := os.MkdirTemp("", "board-")
	require.NoError(t, err)
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(chromium(t)), chromedp.DisableGPU, chromedp.UserDataDir(dir),
		chromedp.IgnoreCertErrors, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 800))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(ctx)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		stop()
		cancel()
		_ = os.RemoveAll(dir)
	})
	require.NoError(t, chromedp.Listen(ctx, b.hear))
	t.Cleanup(func() { require.Empty(t, b.complaints(), "what the browser complained of") })
	var features []*emulation.MediaFeature
	for _, m := range media {
		name, value, _ := strings.Cut(m, "=")
		features = append(features, &emulation.MediaFeature{Name: name, Value: value})
	}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return err
	}), chromedp.EmulateViewport(1280, 800), chromedp.Navigate(url))
	return b
}

// hear takes in what the browser says. It must not ask it anything.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type != "log" && e.Type != "debug" && e.Type != "info" {
			b.complain("console", e.Args)
		}
	case *runtime.EventExceptionThrown:
		b.complain("exception", e.ExceptionDetails)
	case *page.EventJavascriptDialogOpening:
		b.complain("dialog", e.Message)
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" && !(b.lost && e.Entry.Source == "network") {
			b.complain("log", e.Entry)
		}
	}
}

func (b *tab) complain(kind string, what any) {
	text, _ := json.Marshal(what)
	b.all = append(b.all, fmt.Sprintf("%s: %.600s", kind, text))
}

// complaints takes what the browser complained of so far.
func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.all
	b.all = nil
	return all
}

// losing has requests fail from now on, or not.
func (b *tab) losing(lost bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost = lost
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	// The first call starts the browser, which must not end with its time.
	if chromedp.FromContext(b.ctx).Target == nil {
		ctx = b.ctx
	}
	require.NoError(b.t, chromedp.Do(ctx, steps...))
}

// get evaluates an expression in the page; of a promise, what becomes of it.
func get[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, func(p *runtime.EvaluateParams) {
		wait := true
		p.AwaitPromise = &wait
	}))
	require.NoError(b.t, err, expression)
	return v
}

// until waits until an expression is true.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	end := time.Now().Add(patience)
	for !get[bool](b, "Boolean("+expression+")") {
		if time.Now().After(end) {
			b.shot("failed-" + strings.Map(func(r rune) rune {
				if r == ' ' || r == '/' {
					return '-'
				}
				return r
			}, b.t.Name()))
			require.FailNow(b.t, "it does not come to pass: "+what, "%s\n%s", expression, get[string](b, "document.body.innerText"))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// press presses keys.
func (b *tab) press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// text is that of the first element of a selector; "": there is none.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return get[string](b, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector))
}

func (b *tab) count(selector string) int {
	b.t.Helper()
	return get[int](b, fmt.Sprintf("document.querySelectorAll(%q).length", selector))
}

// shot keeps a picture of the page, if somebody wants it.
func (b *tab) shot(name string) []byte {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	b.keep(name+".png", picture)
	return picture
}

// keep keeps a file in the folder of pictures, if somebody wants them.
func (b *tab) keep(name string, content []byte) {
	b.t.Helper()
	if dir := os.Getenv("MEP_PICTURES"); dir != "" {
		require.NoError(b.t, os.MkdirAll(dir, 0o755))
		require.NoError(b.t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
	}
}

// row is the selector of the row of a service.
func row(id string) string { return fmt.Sprintf(`#rows tr[data-id="%s"]`, id) }

// shows waits until the row of a service shows a state, or late.
func (b *tab) shows(id, kind string) {
	b.t.Helper()
	b.until(id+" is shown "+kind, fmt.Sprintf(`document.querySelector('%s[data-kind="%s"]')`, row(id), kind))
}
