package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

// block is the commands below one marker of the README.
func block(t *testing.T, name string) (commands, readme string) {
	t.Helper()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the README's commands are pasted into %s, which this machine does not have", tool)
		}
	}
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)<!-- " + name + ": run by test/e2e -->\n```sh\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, found, "the README has no %s", name)
	return string(found[1]), string(text)
}

// paste runs commands as a new user would, and wants the outputs in their order.
func paste(t *testing.T, s *mep.Server, dir, commands string, wants ...string) {
	t.Helper()
	script := strings.Replace(commands, "URL=http://127.0.0.1:30100\n", "URL="+s.URL+"\n", 1)
	require.NotEqual(t, commands, script, "the commands must begin with the default address")
	code, out := proc.Command{Program: "bash", Args: []string{"-s"}, Dir: dir, Stdin: strings.NewReader(script)}.Run(t, 2*time.Minute)
	require.Zero(t, code, "%s", out.Both)
	rest := out.Both.String()
	for _, want := range wants {
		at := strings.Index(rest, want)
		require.GreaterOrEqual(t, at, 0, "%q is missing after what came before it, in:\n%s", want, out.Both)
		rest = rest[at+len(want)-1:]
	}
}

// The README's walk, against a server without any settings but its address.
func TestTheWalkOfTheREADME(t *testing.T) {
	t.Parallel()
	commands, readme := block(t, "walk")
	s := mep.Start(t)
	consumer := runConsumer(t)
	paste(t, s, t.TempDir(), strings.ReplaceAll(commands, usualConsumer, consumer.address),
		"201 Created", "SerAvailabilityNotificationSubscription", // subscribed
		"201 Created", `"livenessInterval":5`, // registered
		"\n204\n", `{"state":"ACTIVE"`, `"interval":5}`, `[{"serInstanceId":`, // heard and listed
		"\n[]\n", `{"state":"SUSPENDED"`, `"status":"OUTOFSERVICE"`, // silent and hidden
		"\n204\n", `[{"serInstanceId":`, `"status":"UP"`, // back
		"\n204\n", "\n204\n", // both deleted
	)
	rest := consumer.out.String()
	for _, want := range []string{"ADDED", "SUSPENDED", "STATE_CHANGED", "REMOVED"} {
		require.Contains(t, rest, want)
		rest = rest[strings.Index(rest, want)+len(want):]
	}
	require.Equal(t, 5, strings.Count(consumer.out.String(), "\n"), "one line more than it was told of changes:\n%s", consumer.out)
	require.Equal(t, "[]", strings.TrimSpace(string(s.Want(200, "GET", mep.Base+"/services", "").Body)))
	require.Contains(t, readme, "go run ./cmd/mepserver\n")
	require.Contains(t, readme, "go test ./...\n")
}

var restartOfTheREADME = regexp.MustCompile("`(MEP_[A-Z_]+=[0-9a-z]+) go run ./cmd/mepserver`")

// The README's change of bounds, with the setting that it names, and a restart where
// it asks for one.
func TestTheNewIntervalOfTheREADME(t *testing.T) {
	t.Parallel()
	before, readme := block(t, "bounds")
	after, _ := block(t, "bounds, after a restart")
	setting := restartOfTheREADME.FindStringSubmatch(readme)
	require.NotNil(t, setting, "the README names no setting to restart with")
	s := mep.Start(t)
	dir := t.TempDir()
	paste(t, s, dir, before, "204\n")
	s.Kill()
	s.Env = []string{setting[1]}
	s.Restart()
	begin, _, ok := strings.Cut(before, "curl ")
	require.True(t, ok)
	beat := regexp.MustCompile(`(?m)^BEAT=.*$`).FindString(before)
	paste(t, s, dir, begin+beat+"\n"+after, // the same shell, as the reader has it
		`{"state":"ACTIVE"`, `"interval":10}`, "\n200\n", // told
		`"livenessInterval":20`, "412\n", "\n204\n")
}

// usualConsumer is where the README's consumer listens.
const usualConsumer = "127.0.0.1:9999"

type printing struct {
	address string
	out     *proc.Output
}

// runConsumer runs the README's consumer, on a free port, until the test ends.
func runConsumer(t *testing.T) printing {
	t.Helper()
	commands, _ := block(t, "consumer")
	path := mep.AgentBinary(t)
	words := strings.Fields(strings.NewReplacer("go run ./cmd/mep-agent", path, usualConsumer, "127.0.0.1:0").Replace(commands))
	require.Equal(t, path, words[0])
	c := printing{out: proc.Command{Program: words[0], Args: words[1:]}.Start(t).Stdout}
	at := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	wait.Until(t, "the consumer listens", func() bool { c.address = at.FindString(c.out.String()); return c.address != "" })
	return c
}
