package agent

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
)

// info and warn log a line about one service. args are keys and values, as for slog.Logger.
func (a *Agent) info(r *registration, what string, args ...any) {
	a.log.Info(what, append([]any{"service", r.name}, args...)...)
}

func (a *Agent) warn(r *registration, what string, args ...any) {
	a.log.Warn(what, append([]any{"service", r.name}, args...)...)
}

// warnOnce logs the first failure in a row. The others are only counted, for a platform
// that is away would fill the log.
func (a *Agent) warnOnce(r *registration, what string, err error) {
	if r.failures == 1 {
		a.warn(r, what, "reason", outcomeText(err, ""))
	}
}

// logRecovery logs the end of failures in a row, how many and how long they were.
func (a *Agent) logRecovery(r *registration, now time.Time, what string) {
	if r.failures > 0 {
		a.info(r, what, "failures", r.failures, "after", now.Sub(r.failingSince).Round(time.Millisecond).String())
	}
}

// newLog is the log of an agent: nothing that a platform, an application or a probe says
// reaches l as it is, for it could forge lines or change what a terminal shows. l may be
// nil.
func newLog(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(printableHandler{l.Handler()})
}

// printableHandler makes every text of a line printable. The agent uses neither groups nor
// attributes of a logger.
type printableHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h printableHandler) Handle(ctx context.Context, line slog.Record) error {
	clean := slog.NewRecord(line.Time, line.Level, line.Message, line.PC)
	line.Attrs(func(a slog.Attr) bool {
		switch a.Value.Kind() {
		case slog.KindString, slog.KindAny:
			a.Value = slog.StringValue(printable(fmt.Sprint(a.Value.Any())))
		default: // numbers, truth values and times say nothing but themselves
		}
		clean.AddAttrs(a)
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

// maxText is the most bytes of a text from outside that is logged or shown.
const maxText = 256

// printable drops what is not printed of a text from outside (control characters,
// bidirectional controls, line separators) and cuts it.
func printable(s string) string {
	if len(s) > 4*maxText { // it may be megabytes
		s = s[:4*maxText]
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}
