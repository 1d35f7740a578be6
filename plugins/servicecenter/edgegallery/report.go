package edgegallery

import (
	"fmt"
	"io"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// Report says what an import takes over, and what not.
type Report struct {
	Source                                              string
	States                                              map[heartbeat.State]int // services by state
	Availability, Terminations, Terminating, Configured int
	Published                                           int      // names at the gateway
	Left                                                []Left   // at most maxListed
	LeftOut                                             int      // all of them
	Notes                                               []string // at most maxListed, and what was changed
}

// Left is a key that is not imported.
type Left struct{ Key, Reason string }

const maxListed = 500

// Services is how many are taken over.
func (r *Report) Services() int {
	return r.States[heartbeat.Active] + r.States[heartbeat.Suspended] + r.States[heartbeat.Inactive]
}

func (c *Contents) leave(key, reason string) {
	c.Report.LeftOut++
	if len(c.Report.Left) < maxListed {
		c.Report.Left = append(c.Report.Left, Left{plugins.Clean(key), plugins.Clean(reason)})
	}
}

func (c *Contents) note(format string, args ...any) {
	if len(c.Report.Notes) < maxListed {
		c.Report.Notes = append(c.Report.Notes, plugins.Clean(fmt.Sprintf(format, args...)))
	}
}

// Print writes the report for people. Nothing in it can move a terminal's cursor.
func (r *Report) Print(out io.Writer) {
	fmt.Fprintf(out, "from %s\n"+
		"  services         %d: %d ACTIVE, %d SUSPENDED, %d INACTIVE\n"+
		"  subscriptions    %d to services, %d to terminations\n"+
		"  applications     %d with rules or tasks, %d being terminated\n"+
		"  gateway          %d names of endpoints\n"+
		"  left out         %d\n",
		r.Source, r.Services(), r.States[heartbeat.Active], r.States[heartbeat.Suspended], r.States[heartbeat.Inactive],
		r.Availability, r.Terminations, r.Configured, r.Terminating, r.Published, r.LeftOut)
	for _, l := range r.Left {
		fmt.Fprintf(out, "    %s: %s\n", l.Key, l.Reason)
	}
	if more := r.LeftOut - len(r.Left); more > 0 {
		fmt.Fprintf(out, "    and %d more\n", more)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(out, "  note: %s\n", n)
	}
}
