package docs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
)

var update = flag.Bool("update", false, "write the life of a service into README.md")

const (
	lifeBegin = "<!-- the life of a service, printed by `go test ./test/docs -run TestTheLifeOfAServiceIsDrawn -update` -->\n"
	lifeEnd   = "<!-- end of the life of a service -->\n"
)

// life draws what heartbeat.Next says, but for what leaves a state as it is.
func life() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n  [*] --> ACTIVE: POST\n  [*] --> INACTIVE: POST\n")
	name := func(s heartbeat.State) string {
		if s == heartbeat.None {
			return "[*]"
		}
		return s.String()
	}
	for _, from := range heartbeat.States {
		for _, to := range heartbeat.States {
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
	file := filepath.Join(root, "README.md")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), lifeBegin)
	shown, after, ended := strings.Cut(rest, lifeEnd)
	require.True(t, found && ended, "README.md has no place for it")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+lifeBegin+life()+lifeEnd+after), 0o600))
		return
	}
	require.Equal(t, life(), shown, "README.md shows another life than the state table; run this test with -update")
}
