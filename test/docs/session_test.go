package docs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/proc"
)

// The bounds only end a document that hangs.
const (
	longestBlock = 3 * time.Minute
	longestWait  = time.Minute
	longestStop  = 20 * time.Second
)

// session is a reader in a checkout, with a shell and more terminals. It has every file of
// the repository, writes into a folder of its own, and has ports of its own.
type session struct {
	t         *testing.T
	dir       string            // the checkout
	ports     map[string]string // by the address that documents name
	shell     *exec.Cmd
	in        io.Writer
	out       *bufio.Reader
	cwd       string
	printed   string // by the last block that ran
	terminals map[string]*proc.Process
	settings  bool     // whether the environment says where the programs listen
	left      []string // terminals in which nothing runs, because a tool is missing
}

const root = "../.."

// programsDir is where the programs are, once one session was opened.
var programsDir string

// programs are built once, as README's first command builds them.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mepserver-docs-")
	programsDir = dir
	for _, name := range []string{"mepserver", "mep-agent"} {
		if err == nil {
			_, err = built.Command(dir, name)
		}
	}
	return dir, err
})

// newSession opens a session. Where settings is false nothing but the document itself says
// where the programs listen.
func newSession(t *testing.T, settings bool) *session {
	t.Helper()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the documents' commands are typed into %s, which this machine does not have", tool)
		}
	}
	built.Depend()
	bin, err := programs()
	require.NoError(t, err)
	s := &session{t: t, settings: settings, dir: filepath.Join(t.TempDir(), "mepserver"), ports: map[string]string{}, terminals: map[string]*proc.Process{}}
	require.NoError(t, os.Mkdir(s.dir, 0o700))
	require.NoError(t, os.Symlink(bin, filepath.Join(s.dir, "bin")))
	from, err := filepath.Abs(root)
	require.NoError(t, err)
	entries, err := os.ReadDir(from)
	require.NoError(t, err)
	for _, e := range entries {
		if name := e.Name(); name != "bin" && name != "data" && name != "dist" && name != ".git" {
			require.NoError(t, os.Symlink(filepath.Join(from, name), filepath.Join(s.dir, name)))
		}
	}
	s.open()
	return s
}

func (s *session) open() {
	s.cwd = s.dir
	s.shell = exec.Command("bash", "--norc", "-s") //nolint:noctx // killed when the test ends
	s.shell.Dir, s.shell.Env = s.dir, append(os.Environ(), s.env()...)
	s.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := s.shell.StdinPipe()
	require.NoError(s.t, err)
	out, w := io.Pipe()
	s.shell.Stdout, s.shell.Stderr = w, w
	s.in, s.out = in, bufio.NewReader(out)
	require.NoError(s.t, s.shell.Start())
	s.t.Cleanup(func() {
		_ = syscall.Kill(-s.shell.Process.Pid, syscall.SIGKILL)
		_ = out.Close()
		_ = s.shell.Wait()
	})
}

// env has the programs use this session's ports where they would use the default ones.
func (s *session) env() []string {
	always := []string{"LC_ALL=C.UTF-8", "PYTHONUNBUFFERED=1", "GOWORK=off"}
	if !s.settings {
		return always
	}
	return append(always, "MEP_SERVER_LISTEN="+s.here("127.0.0.1:30100"), "MEP_PLATFORM_ENDPOINTS=http://"+s.here("127.0.0.1:30100"),
		"MEP_LOCAL_LISTEN="+s.here("127.0.0.1:30180"))
}

var loopback = regexp.MustCompile(`127\.0\.0\.[12]:\d+`)

// here puts this session's ports in place of a document's.
func (s *session) here(text string) string {
	return loopback.ReplaceAllStringFunc(text, func(at string) string {
		if s.ports[at] == "" {
			host, _, _ := strings.Cut(at, ":")
			_, port, _ := strings.Cut(proc.Free(s.t), ":")
			s.ports[at] = host + ":" + port
		}
		return s.ports[at]
	})
}

// there is an output as the document's reader sees it.
func (s *session) there(text string) string {
	for at, free := range s.ports {
		text = strings.ReplaceAll(text, free, at)
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \r\n") + "\n")
	}
	return b.String()
}

// do does what one marker says.
func (s *session) do(b Block) {
	s.t.Helper()
	at := fmt.Sprintf("%s:%d", b.Place, b.Line)
	if s.lacks(b) {
		return
	}
	switch {
	case b.Do == "run" && b.Name == "":
		s.run(at, b.Text)
	case b.Do == "run":
		s.stop(b.Name)
		s.launch(b)
	case b.Do == "stop":
		require.NotNil(s.t, s.terminals[b.Name], "%s: nothing runs there", at)
		s.stop(b.Name)
	case b.Do == "prints" && b.Name == "":
		require.Regexp(s.t, b.Printed(), s.there(s.printed), at)
	case b.Do == "prints":
		s.waitFor(at, s.terminals[b.Name], b.Printed())
	case b.Do == "file":
		name := filepath.Join(s.cwd, b.Name)
		require.NoError(s.t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(s.t, os.WriteFile(name, []byte(s.here(b.Text)), 0o600), at)
	case b.Do == "checked":
		check := checks[b.Name]
		require.NotNil(s.t, check, "%s: there is no check of the name %q", at, b.Name)
		require.Empty(s.t, check(b), at)
	}
}

// tools are what not every machine has, by the word with which a block calls them.
var tools = map[string][]string{"python3 ": {"python3"}, "openssl ": {"openssl"}, "nginx ": {"nginx", "openssl"}}

// lacks leaves out what needs a tool that is not here, and what that would print. What
// depends on it runs in terminals whose names begin with its own.
func (s *session) lacks(b Block) bool {
	for word, needs := range tools {
		for _, tool := range needs {
			if _, err := exec.LookPath(tool); err != nil && b.Do == "run" && strings.Contains(b.Text, word) {
				s.t.Logf("%s:%d: not run, for %s is not here: %s", b.Place, b.Line, tool, b.Text)
				if b.Name != "" {
					s.left = append(s.left, b.Name)
				}
				return true
			}
		}
	}
	return b.Name != "" && slices.ContainsFunc(s.left, func(name string) bool { return strings.HasPrefix(b.Name, name) })
}

const mark = "the-block-has-ended"

// run types a block into the shell and waits for its end.
func (s *session) run(at, text string) {
	s.t.Helper()
	script := filepath.Join(s.t.TempDir(), "block")
	require.NoError(s.t, os.WriteFile(script, []byte(s.here(builtAlready(text))), 0o600))
	_, err := fmt.Fprintf(s.in, ". %s </dev/null\nprintf '%s %%d %%s\\n' $? \"$PWD\"\n", script, mark)
	require.NoError(s.t, err)
	timer := time.AfterFunc(longestBlock, func() { _ = syscall.Kill(-s.shell.Process.Pid, syscall.SIGKILL) })
	defer timer.Stop()
	s.printed = ""
	for {
		line, err := s.out.ReadString('\n')
		require.NoError(s.t, err, "%s: the shell ended; it printed\n%s", at, s.printed)
		before, end, found := strings.Cut(line, mark+" ")
		s.printed += before
		if !found {
			continue
		}
		code, dir, _ := strings.Cut(strings.TrimSpace(end), " ")
		status, err := strconv.Atoi(code)
		require.NoError(s.t, err)
		require.Zero(s.t, status, "%s: it printed\n%s", at, s.printed)
		s.cwd = dir
		return
	}
}

var buildLine = regexp.MustCompile(`(?m)^go build -o bin/ \./cmd/mepserver \./cmd/mep-agent$`)

// builtAlready leaves out the build of what lies in bin. TestTheTwoCommandsOnACleanClone
// runs it as it stands.
func builtAlready(text string) string { return buildLine.ReplaceAllString(text, "true") }

// oneLine is a block of one command, with what it sets in its environment.
var oneLine = regexp.MustCompile(`^((?:[A-Z_]+=\S+ )*)(.+)\n$`)

// launch starts what a block runs in a terminal of its own. The shell becomes the program
// if that is all it runs, so that signals reach it.
func (s *session) launch(b Block) {
	s.t.Helper()
	s.terminals[b.Name] = proc.Command{Program: "bash", Args: []string{"-c", s.here(oneLine.ReplaceAllString(b.Text, "${1}exec $2"))}, Env: s.env(), Dir: s.cwd}.Start(s.t)
}

// stop is Ctrl-C, if something runs in that terminal.
func (s *session) stop(name string) {
	s.t.Helper()
	p := s.terminals[name]
	if p == nil {
		return
	}
	delete(s.terminals, name)
	p.Signal(os.Interrupt)
	p.WaitWithin(longestStop)
}

// waitFor waits until a terminal shows what a document says.
func (s *session) waitFor(at string, p *proc.Process, want *regexp.Regexp) {
	s.t.Helper()
	require.NotNil(s.t, p, "%s: nothing runs there", at)
	for end := time.Now().Add(longestWait); time.Now().Before(end) && !p.Ended(); time.Sleep(50 * time.Millisecond) {
		if want.MatchString(s.there(p.Stdout.String())) {
			return
		}
	}
	require.Regexp(s.t, want, s.there(p.Stdout.String()), "%s; it logged\n%s", at, p.Stderr)
}
