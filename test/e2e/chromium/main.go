// Command chromium opens a page in Chromium and prints, each time that it changes, what an expression
// is there: one line of JSON. It opens the page anew every second, for the page may poll slowly or
// not at all, until it is killed. What the page reports as an error goes to standard error. It is a
// module of its own, for its library is needed nowhere else; it must not know what it looks at.
//
//	chromium URL EXPRESSION
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	cdp "github.com/chromedp/chromedp"
)

const (
	pause = 100 * time.Millisecond
	looks = 10 // at one page
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: chromium URL EXPRESSION")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1], os.Args[2])
	stop()
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url, expression string) error {
	profile, err := os.MkdirTemp("", "chromium-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(profile) }()
	options := append(cdp.DefaultExecAllocatorOptions[:], cdp.DisableGPU, cdp.UserDataDir(profile),
		cdp.Flag("disable-quic", true), cdp.Flag("disable-component-update", true), cdp.WindowSize(1400, 700))
	if os.Getuid() == 0 {
		options = append(options, cdp.NoSandbox)
	}
	ctx, cancel := cdp.NewExecAllocator(ctx, options...)
	defer cancel()
	ctx, cancel = cdp.NewContext(ctx)
	defer cancel()
	last := ""
	for {
		// The page is another one at each turn, or a browser would only go to its fragment.
		if err := cdp.Do(ctx, cdp.Navigate("about:blank")); err != nil {
			return err
		}
		if err := cdp.Do(ctx, cdp.Navigate(url)); err != nil {
			return err
		}
		for range looks {
			now, err := cdp.Run(ctx, cdp.Evaluate[string](expression))
			if err != nil {
				return err
			}
			if now != last {
				fmt.Println(now)
				last = now
			}
			time.Sleep(pause)
		}
	}
}
