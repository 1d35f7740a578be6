package docs

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/test/printed"
)

var update = flag.Bool("update", false, "write the life of a service into README.md and docs/operators.md")

// life draws what heartbeat.Next says, but for what leaves a state as it is: all that an
// administrator does, or nothing of it.
func life(drained bool) string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n")
	if !drained {
		b.WriteString("  [*] --> ACTIVE: POST\n  [*] --> INACTIVE: POST\n")
	}
	name := func(s heartbeat.State) string {
		if s == heartbeat.None {
			return "[*]"
		}
		return s.String()
	}
	for _, from := range heartbeat.States {
		for _, to := range heartbeat.States {
			if (from.Drained() || to.Drained()) != drained {
				continue
			}
			var why []string
			for _, e := range heartbeat.Events {
				if c := heartbeat.Next(from, e); c.Err == nil && c.To == to && from != to {
					why = append(why, e.String())
				}
			}
			if len(why) > 0 {
				fmt.Fprintf(&b, "  %s --> %s: %s\n", name(from), name(to), strings.Join(why, ", "))
			}
		}
	}
	return b.String() + "```\n"
}

func TestTheLifeOfAServiceIsDrawn(t *testing.T) {
	printed.Compare(t, *update, filepath.Join(root, "README.md"), "life of a service", "./test/docs", life(false))
}

func TestWhatDrainingDoesIsDrawn(t *testing.T) {
	printed.Compare(t, *update, filepath.Join(root, "docs", "operators.md"), "life of a drained service", "./test/docs", life(true))
}
