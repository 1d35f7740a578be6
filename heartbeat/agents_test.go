package heartbeat

import (
	"fmt"
	"strings"
	"testing"
)

func TestOneAgentForEachPlaceAndNoMoreThanSixteen(t *testing.T) {
	var all Agents
	for _, c := range []struct{ agent, want string }{
		{"a.1", "a.1"}, {"b.1", "a.1 b.1"}, {"a.1", "a.1 b.1"}, {"a.2", "b.1 a.2"}, {"", "b.1 a.2"},
	} {
		if all = all.with(c.agent); string(all) != c.want {
			t.Fatalf("with %s: %q, not %q", c.agent, all, c.want)
		}
	}
	for i := range 20 {
		all = all.with(fmt.Sprintf("p%d.r", i))
	}
	if n := len(strings.Fields(string(all))); n != maxAgents || all.has("a.2") || !all.has("p19.r") || !all.has("p4.r") || all.has("p3.r") {
		t.Errorf("%d agents: %s", n, all)
	}
	if got := Agents("a.1 ab.1 b.1").without("a.1"); got != "ab.1 b.1" {
		t.Errorf("without: %q", got)
	}
	if got := Agents("a.1").without("a.2"); got != "a.1" {
		t.Errorf("without another run: %q", got)
	}
	if got := Agents("a.1").without("a.1"); got != "" {
		t.Errorf("without the last: %q", got)
	}
}

func TestAnAgentIsAPlaceAndARun(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, good := range []string{"a.b", "A-1_z.0", long + "." + long} {
		if !ValidAgent(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"", ".", "a", "a.", ".b", "a.b.c", "a b.c", "a.b ", "ä.b", "a/b.c", long + "x.b", "a." + long + "x", "a.b\n", "a,b.c"} {
		if ValidAgent(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
}
