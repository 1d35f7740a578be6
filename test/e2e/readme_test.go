package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var walkBlock = regexp.MustCompile("(?s)<!-- walk: run by test/e2e -->\n```sh\n(.*?)```")

// The README's walk is pasted as a new user would, against a server without any
// settings but its address.
func TestTheWalkOfTheREADME(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the README's walk is pasted into %s, which this machine does not have", tool)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	block := walkBlock.FindSubmatch(readme)
	require.NotNil(t, block, "the README has no walk")
	s := start(t)
	script := strings.Replace(string(block[1]), "URL=http://127.0.0.1:30100\n", "URL="+s.url+"\n", 1)
	require.NotEqual(t, string(block[1]), script, "the walk must begin with the default address")
	cmd := exec.Command("bash", "-s")
	cmd.Dir, cmd.Stdin = t.TempDir(), strings.NewReader(script)
	timer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	rest := string(out)
	for _, want := range []string{
		"201 Created", `"livenessInterval":5`, // registered
		"\n204\n", `{"state":"ACTIVE"`, `"interval":5}`, `[{"serInstanceId":`, // heard and listed
		"\n[]\n", `{"state":"SUSPENDED"`, `"status":"OUTOFSERVICE"`, // silent and hidden
		"\n204\n", `[{"serInstanceId":`, `"status":"UP"`, // back
		"\n204\n", // deleted
	} {
		at := strings.Index(rest, want)
		require.GreaterOrEqual(t, at, 0, "%q is missing after what came before it, in:\n%s", want, out)
		rest = rest[at+len(want)-1:]
	}
	require.Equal(t, "[]", strings.TrimSpace(string(s.want(200, "GET", base+"/services", "").body)))
	require.Contains(t, string(readme), "go run ./cmd/mepserver\n")
	require.Contains(t, string(readme), "go test ./...\n")
}
