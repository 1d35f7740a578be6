package browser

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// TestAllOfItIsPrinted: every row, not only those on the screen, and nothing that is there to be
// clicked at.
func TestAllOfItIsPrinted(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	const many = 90
	for i := range many {
		s.Register("app-1", fmt.Sprintf("service-%02d", i), 300)
	}
	b := open(t, s.URL+"/board")
	b.until("all are there", fmt.Sprintf("document.querySelector('#table').getAttribute('aria-rowcount') === '%d'", many+1))
	require.Less(t, b.count("#rows tr"), many, "the screen has not all of them")
	media := func(name string) chromedp.Action[chromedp.Void] {
		return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: name})
			return err
		})
	}
	b.do(media("print"))
	require.Zero(t, get[int](b, "[...document.querySelectorAll('button, input, select, .skip')].filter(e => !e.closest('#tiles, #log, #rows') && e.checkVisibility()).length"), "nothing to click at on paper")
	require.True(t, get[bool](b, "document.querySelector('#sentence').checkVisibility() && document.querySelector('#log').checkVisibility()"))
	b.shot("print")
	b.do(media(""))
	get[int](b, "(() => { addEventListener('beforeprint', () => { window.printed = document.querySelectorAll('#rows tr').length }); addEventListener('afterprint', () => { window.after = true }); return 0 })()")
	var pdf []byte
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		out, err := cdp.Call(ctx, t, page.PrintToPDF, page.PrintToPDFParams{})
		if err == nil {
			pdf = out.Data
		}
		return err
	}))
	require.True(t, bytes.HasPrefix(pdf, []byte("%PDF-")))
	require.Equal(t, many, get[int](b, "window.printed"))
	require.Regexp(t, ` · printed \w{3} \w{3} \d\d \d{4} \d\d:\d\d:\d\d GMT`, get[string](b, "document.querySelector('#printed').textContent"), "paper says how old it is")
	b.keep("board.pdf", pdf)
	b.until("the screen is as it was", fmt.Sprintf("window.after && document.querySelectorAll('#rows tr').length < %d", many))
}
