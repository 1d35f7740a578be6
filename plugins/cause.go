package plugins

import (
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// CauseOf is why the instance of a record is in its state, as it is shown.
func CauseOf(r *heartbeat.Record) mp1.Cause {
	return causeOf(r.Cause, r.State, r.LastBeat, r.Interval, r.Window)
}

// Why is the cause of the event, as it is shown.
func (e *Event) Why() mp1.Cause {
	return causeOf(e.Cause, e.State, e.LastBeat, e.Interval, e.Window)
}

func causeOf(c heartbeat.Cause, s heartbeat.State, lastBeat int64, interval, window int) mp1.Cause {
	out := mp1.Cause{Kind: mp1.CauseKind(c.Kind), By: c.By, Text: c.Text, WindowSeconds: window,
		State: mp1.State(s.Shown().String()), Interval: interval}
	if lastBeat > 0 {
		out.LastHeartbeat = time.Unix(0, lastBeat).UTC()
	}
	return out
}
