package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/cmd/terminal"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// WatchOptions say what is watched and how it is shown.
type WatchOptions struct {
	Since string // the revision behind which it goes on; "": what there is comes first
	JSON  bool
	Out   io.Writer
	Errs  io.Writer // where it is said that the connection was lost
}

// Watch prints one line for each change of a service until its context ends, which is no error. A
// connection that is lost is made anew, but one that never was, or that is refused, is an error.
func Watch(ctx context.Context, server *remote.Server, o WatchOptions) error {
	if o.Since != "" {
		if _, err := strconv.ParseUint(o.Since, 10, 63); err != nil {
			return fmt.Errorf("--since must be a revision, which is a whole number, not %+q", o.Since)
		}
	}
	c, err := client.New(client.Options{BaseURL: server.Base.String(), HTTPClient: &http.Client{Transport: server.Transport}})
	if err != nil {
		return err
	}
	begun := false
	var lost error // since the last event
	for e, err := range c.Events(ctx, mp1.Filter{}, o.Since) {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !begun:
			return unwatched(err)
		case err != nil && lost == nil:
			fmt.Fprintf(o.Errs, "mepserver: the connection is lost: %s; the server is asked until it answers\n", terminal.Cell(unwatched(err).Error()))
			fallthrough
		case err != nil:
			lost = err
			continue
		case lost != nil:
			missed := "nothing was missed"
			if e.Reset != nil {
				missed = "does not know any more what has changed meanwhile"
			}
			fmt.Fprintf(o.Errs, "mepserver: the server answers again, and %s\n", missed)
		}
		begun, lost = true, nil
		if err := o.see(e); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // to be stopped is none
	}
	return unwatched(lost)
}

// unwatched is why there is no stream.
func unwatched(err error) error {
	var p *client.Problem
	switch {
	case !errors.As(err, &p):
		err = remote.OnTheWay(err)
		if text, is := strings.CutPrefix(err.Error(), "mp1 client: "); is {
			return errors.New(text)
		}
		return err
	case p.Status == http.StatusNotFound:
		return errOlder
	case p.Detail != "":
		return fmt.Errorf("the server refused (%d): %s", p.Status, p.Detail)
	}
	return remote.Refusal(p.Status, nil)
}

// see prints an event.
func (o WatchOptions) see(e client.Event) error {
	line := func(kind string, data any) error {
		return terminal.PrintLine(o.Out, struct {
			Event string `json:"event"`
			Data  any    `json:"data"`
		}{kind, data})
	}
	switch {
	case e.Reset != nil && o.JSON:
		return line(mp1.ResetEvent, e.Reset)
	case e.Change != nil && o.JSON:
		return line(mp1.ChangeEvent, e.Change)
	case e.Reset != nil:
		count := map[mp1.State]int{}
		for _, s := range e.Reset.Services {
			count[s.State]++
		}
		_, err := fmt.Fprintf(o.Out, "at revision %d: %d services, %d ACTIVE, %d SUSPENDED, %d INACTIVE\n",
			e.Reset.Revision, len(e.Reset.Services), count[mp1.Active], count[mp1.Suspended], count[mp1.Inactive])
		return err
	case e.Change != nil:
		c := e.Change
		at, err := time.Parse(time.RFC3339Nano, c.Time)
		if err != nil {
			return errNoState
		}
		_, err = fmt.Fprintf(o.Out, "%s %d %-18s %s -> %s  %s  %s  %s  %s\n", at.UTC().Format("15:04:05.000"), c.Revision, terminal.Cell(string(c.Change)),
			terminal.Cell(string(c.From)), terminal.Cell(string(c.To)), terminal.Cell(c.AppInstanceID), terminal.Cell(c.SerName), terminal.Cell(c.SerInstanceID), terminal.Cell(c.Reason))
		return err
	}
	return nil // nothing has changed
}
