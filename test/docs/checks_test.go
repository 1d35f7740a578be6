package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	yaml "go.yaml.in/yaml/v3"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
)

// checks are what looks at blocks that are not run, by the names that documents give. Each
// returns what is wrong, so that a test can see that it finds something.
var checks = map[string]func(Block) []string{
	"ci":           runByCI,
	"commands":     namesWhatIsThere,
	"go-chassis":   asInTheClient,
	"notification": isANotification,
	"docker":       runsTheImage,
	"alerts":       areRules,
	"audit":        isAnAuditLine,
	"settings":     areSettings,
}

func read(name string) string {
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		return ""
	}
	return string(b)
}

// commands are the lines of a block, without comments and empty ones.
func commands(b Block) (lines []string) {
	for line := range strings.Lines(strings.ReplaceAll(b.Text, "\\\n", " ")) {
		command, _, _ := strings.Cut(line, " #")
		if command = strings.TrimSpace(command); command != "" && !strings.HasPrefix(command, "#") {
			lines = append(lines, command)
		}
	}
	return lines
}

// isAnAuditLine wants one line of JSON; plugins/identity holds its members.
func isAnAuditLine(b Block) []string {
	var m map[string]any
	if json.Unmarshal([]byte(b.Text), &m) != nil || strings.Count(b.Text, "\n") != 1 || m["msg"] != "audit" {
		return []string{"it is not one line of the audit log"}
	}
	return nil
}

// areSettings wants a part of mepserver's configuration file. Files that it names need not be
// there.
func areSettings(b Block) []string {
	if _, err := conf.Load(conf.Sources{Data: []byte(b.Text)}); err != nil {
		return []string{err.Error()}
	}
	return nil
}

// runByCI wants each command in .ci/run, word for word.
func runByCI(b Block) (wrong []string) {
	for _, command := range commands(b) {
		if !strings.Contains(read(".ci/run"), "\n"+command+"\n") {
			wrong = append(wrong, ".ci/run does not call "+command)
		}
	}
	return wrong
}

var (
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	argument     = regexp.MustCompile(`^\.{0,2}/?[a-z.][\w./-]*(/|\.[a-z]+)|^\./|^\.ci/run$`)
	flagOfGoTest = []string{"run", "v", "race", "count", "timeout", "args", "bench", "fuzz"}
)

// namesWhatIsThere is for commands that are too long to be run here, or that are .ci/run
// itself: what they name must exist, be it a folder, a file, a test or a test's own flag.
func namesWhatIsThere(b Block) (wrong []string) {
	for _, command := range commands(b) {
		words := strings.Fields(command)
		tests, own := "", ""
		for _, w := range words {
			if !argument.MatchString(w) || strings.Contains(w, "example.org") || strings.HasPrefix(w, "/") || strings.HasPrefix(w, "bin/") {
				continue // not of the repository
			}
			folder := strings.TrimSuffix(strings.TrimSuffix(w, "/..."), "...")
			if _, err := os.Stat(filepath.Join(root, folder)); err != nil {
				wrong = append(wrong, "there is no "+w)
			}
			files, _ := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
			for _, f := range files {
				text, _ := os.ReadFile(f)
				own += string(text)
			}
		}
		for _, m := range testFunction.FindAllStringSubmatch(own, -1) {
			tests += m[1] + "\n"
		}
		if words[0] != "go" || words[1] != "test" {
			continue
		}
		for i, w := range words {
			name, isFlag := strings.CutPrefix(w, "-")
			switch {
			case !isFlag:
			case name == "run" && words[i+1] != "X" && !regexp.MustCompile(`(?m)`+words[i+1]).MatchString(tests):
				wrong = append(wrong, command+": there is no test "+words[i+1])
			case !slices.Contains(flagOfGoTest, name) && !strings.Contains(own, `"`+name+`"`):
				wrong = append(wrong, command+": there is no flag -"+name)
			}
		}
	}
	return wrong
}

// asInTheClient wants the keys of a go-chassis configuration among those with which the
// clients of test/e2e start.
func asInTheClient(b Block) (wrong []string) {
	var shown any
	if err := yaml.Unmarshal([]byte(b.Text), &shown); err != nil {
		return []string{err.Error()}
	}
	tried := map[string]bool{}
	settings := regexp.MustCompile("(?m)^(servicecomb|ssl):")
	value := regexp.MustCompile(`%(\[\d\])?s`)
	sources := read("test/e2e/clients/chassis/main.go") + "`" + strings.ReplaceAll(read("test/e2e/servicecomb_identities_test.go"), "chassisCertificate = chassisTLS + `\n", "`ssl:\n")
	for _, text := range strings.Split(sources, "`") {
		var part any
		if settings.MatchString(text) && yaml.Unmarshal(value.ReplaceAll([]byte(text), []byte("x")), &part) == nil {
			for _, k := range keys("", part) {
				tried[k] = true
			}
		}
	}
	for _, k := range keys("", shown) {
		if !tried[k] {
			wrong = append(wrong, "nothing was tried with "+k)
		}
	}
	return wrong
}

// keys are the paths of the scalars of a YAML document.
func keys(prefix string, v any) (paths []string) {
	m, ok := v.(map[string]any)
	if !ok {
		return []string{prefix}
	}
	for k, below := range m {
		paths = append(paths, keys(prefix+"/"+k, below)...)
	}
	return paths
}

// isANotification wants the form in which notifications are sent.
func isANotification(b Block) (wrong []string) {
	var n mp1.Notification
	d := json.NewDecoder(strings.NewReader(b.Text))
	d.DisallowUnknownFields()
	if err := d.Decode(&n); err != nil {
		return []string{err.Error()}
	}
	var shown, sent any
	again, err := json.Marshal(n)
	if err != nil || json.Unmarshal(again, &sent) != nil || json.Unmarshal([]byte(b.Text), &shown) != nil {
		return []string{"is no JSON"}
	}
	if !reflect.DeepEqual(shown, sent) || n.NotificationType != mp1.NotificationType {
		wrong = append(wrong, "it is sent as "+string(again))
	}
	return wrong
}

const docker = `docker build -f build/Dockerfile -t mepserver:dev .
docker run -d --name mepserver -v store:/data -p 127.0.0.1:30100:30100 mepserver:dev --listen 0.0.0.0:30100 --insecure --data-dir /data
`

// runsTheImage compares the arguments of docker with the Dockerfile, and what it passes to
// the program with what that takes.
func runsTheImage(b Block) (wrong []string) {
	file := read("build/Dockerfile")
	fault := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, command := range commands(b) {
		words := strings.Fields(command)
		if !strings.HasPrefix(command, "docker run ") {
			if !strings.Contains(file, "#   "+command+"\n") {
				fault("build/Dockerfile does not say %q", command)
			}
			continue
		}
		var image []string
		for i := 2; i < len(words) && image == nil; i++ {
			switch w := words[i]; {
			case w == "-d", w == "--read-only", w == "--rm":
			case slices.Contains([]string{"--name", "--restart", "--stop-timeout", "--cap-drop", "--security-opt", "--ulimit"}, w):
				i++
			case w == "-v":
				i++
				if _, target, _ := strings.Cut(words[i], ":"); !strings.Contains(file, " /out/data "+target+"\n") {
					fault("the image has no folder %s", target)
				}
			case w == "-p":
				i++
				if port := words[i][strings.LastIndex(words[i], ":")+1:]; !strings.HasPrefix(words[i], "127.0.0.1:") || !strings.Contains(file, "EXPOSE "+port+"\n") {
					fault("-p %s", words[i])
				}
			case strings.HasPrefix(w, "-"):
				fault("docker run %s is not known here", w)
			default:
				image = words[i:]
			}
		}
		if len(image) == 0 || !strings.Contains(file, "-t "+image[0]+" .\n") {
			fault("no image that is built")
			continue
		}
		flags := map[string]string{}
		for i := 1; i < len(image); i++ {
			name := strings.TrimPrefix(image[i], "--")
			if flags[name] = "true"; name != "insecure" && i+1 < len(image) {
				i++
				flags[name] = image[i]
			}
		}
		c, err := conf.Load(conf.Sources{Flags: flags})
		if err != nil {
			fault("mepserver: %v", err)
		}
		if _, port, _ := strings.Cut(c.Server.Listen, ":"); !strings.Contains(file, "EXPOSE "+port+"\n") {
			fault("mepserver listens on %s", c.Server.Listen)
		}
	}
	return wrong
}

var metric = regexp.MustCompile(`mep_\w+`)

// areRules wants rules as Prometheus reads them, over metrics that there are.
func areRules(b Block) (wrong []string) {
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct{ Alert, Expr, For string }
		}
	}
	d := yaml.NewDecoder(strings.NewReader(b.Text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		return []string{err.Error()}
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			names := metric.FindAllString(r.Expr, -1)
			for _, name := range names {
				if !sources().contain(`"` + name + `"`) {
					wrong = append(wrong, "there is no metric "+name)
				}
			}
			if r.Alert == "" || len(names) == 0 {
				wrong = append(wrong, "a rule without a name or a metric")
			}
		}
	}
	if len(file.Groups) == 0 {
		wrong = append(wrong, "no rules")
	}
	return wrong
}

type texts []string

func (all texts) contain(s string) bool {
	return slices.ContainsFunc(all, func(text string) bool { return strings.Contains(text, s) })
}

// sources are the Go files of the plugins.
var sources = sync.OnceValue(func() (all texts) {
	_ = filepath.WalkDir(filepath.Join(root, "plugins"), func(path string, _ os.DirEntry, _ error) error {
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			b, _ := os.ReadFile(path)
			all = append(all, string(b))
		}
		return nil
	})
	return all
})

// Each check rejects something.
func TestAWrongBlockIsFound(t *testing.T) {
	require.Empty(t, runsTheImage(Block{Text: docker}))
	for name, texts := range map[string][]string{
		"ci":       {"go test ./... -short\n"},
		"commands": {"go test ./test/nowhere -run .\n", "go test ./test/docs -run NoSuchTest\n", "go test ./test/docs -nosuchflag 3\n", "build/nothing.sh\n", "go run ./cmd/nothing\n"},
		"docker": {
			strings.Replace(docker, "-t mepserver:dev", "-t mepserver:latest", 1), strings.Replace(docker, ":/data ", ":/store ", 1), strings.Replace(docker, "0.0.0.0:30100", "0.0.0.0:30101", 1),
			strings.Replace(docker, "--insecure", "--insecur", 1), strings.Replace(docker, "--insecure ", "", 1), strings.Replace(docker, "127.0.0.1:30100:", "0.0.0.0:30100:", 1), strings.Replace(docker, "--name", "--nam", 1),
		},
		"alerts":       {"groups:\n- name: g\n  rules:\n  - {alert: A, expr: mep_nothing > 0}\n", "groups:\n- name: g\n  rules:\n  - {alarm: A, expr: mep_replicas > 0}\n", "groups: []\n"},
		"audit":        {`{"msg":"audit"}`, "{\"msg\":\"audit\"}\n{}\n", "{\"msg\":\"other\"}\n"},
		"settings":     {"identity: {jwt: {keyFile: keys}}\n", "identity: {jwt: {secret: keys}}\n"},
		"notification": {`{"notificationType": "SerAvailabilityNotification", "services": []}`, "[]", `{}`},
		"go-chassis":   {"servicecomb:\n  registry:\n    whereabouts: x\n", "ssl:\n  caFile: x\n", "a: [\n"},
	} {
		for _, text := range texts {
			require.NotEmpty(t, checks[name](Block{Text: text}), "%s: %s", name, text)
		}
	}
}
