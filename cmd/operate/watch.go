package operate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/cmd/terminal"
)

// WatchOptions say what is watched and how it is shown.
type WatchOptions struct {
	Since string // the revision behind which it goes on; "": what there is comes first
	JSON  bool
	Out   io.Writer
	Errs  io.Writer // where it is said that the connection was lost
}

// Watch prints one line for each change of a service until its context ends.
func Watch(ctx context.Context, server *remote.Server, o WatchOptions) error {
	if o.Since != "" {
		if _, err := strconv.ParseUint(o.Since, 10, 63); err != nil {
			return fmt.Errorf("--since must be a revision, which is a whole number, not %+q", o.Since)
		}
	}
	s := &stream{server: server, first: firstWait, last: o.Since, see: o.see, lost: func(why error, wait time.Duration) {
		fmt.Fprintf(o.Errs, "mepserver: %s; the server is asked again in %v\n", terminal.Cell(why.Error()), wait)
	}}
	return s.run(ctx)
}

// see prints an event.
func (o WatchOptions) see(e Event) error {
	switch {
	case e.Kind == "ping":
		return nil
	case o.JSON:
		return terminal.PrintLine(o.Out, e)
	case e.Kind == "reset":
		return o.reset(e.Data)
	case e.Kind == "change":
		return o.change(e.Data)
	}
	return nil // of a newer server
}

func (o WatchOptions) reset(data json.RawMessage) error {
	var r struct {
		Revision int64 `json:"revision"`
		Services []struct {
			State string `json:"state"`
		} `json:"services"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return errNoState
	}
	count := map[string]int{}
	for _, s := range r.Services {
		count[s.State]++
	}
	_, err := fmt.Fprintf(o.Out, "at revision %d: %d services, %d ACTIVE, %d SUSPENDED, %d INACTIVE\n",
		r.Revision, len(r.Services), count["ACTIVE"], count["SUSPENDED"], count["INACTIVE"])
	return err
}

func (o WatchOptions) change(data json.RawMessage) error {
	var c struct {
		Revision int64  `json:"revision"`
		Time     stamp  `json:"time"`
		ID       string `json:"serInstanceId"`
		Name     string `json:"serName"`
		App      string `json:"appInstanceId"`
		Change   string `json:"change"`
		From     string `json:"from"`
		To       string `json:"to"`
		Reason   string `json:"reason"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return errNoState
	}
	_, err := fmt.Fprintf(o.Out, "%s %d %-18s %s -> %s  %s  %s  %s  %s\n", c.Time.UTC().Format("15:04:05.000"), c.Revision, terminal.Cell(c.Change),
		terminal.Cell(c.From), terminal.Cell(c.To), terminal.Cell(c.App), terminal.Cell(c.Name), terminal.Cell(c.ID), terminal.Cell(c.Reason))
	return err
}
