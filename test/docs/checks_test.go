package docs

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
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
	"chart":        setsValues,
	"rehearsal":    isTheRehearsal,
	"release":      loadsAnImage,
	"unit":         isADropIn,
	"first hour":   asInTheFirstHour,
	"audit":        isAnAuditLine,
	"settings":     areSettings,
	"page":         readsTheStream,
	"reader":       parses,
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

// readsTheStream wants what a web page needs to read the event stream.
func readsTheStream(b Block) (wrong []string) {
	for _, part := range []string{`new EventSource("` + mp1.EventsPath + `")`, `"` + mp1.ResetEvent + `"`, `"` + mp1.ChangeEvent + `"`, `"` + mp1.PingEvent + `"`} {
		if !strings.Contains(b.Text, part) {
			wrong = append(wrong, "it lacks "+part)
		}
	}
	return wrong
}

// parses wants statements of Go; the example of what they call is compiled, and run, in its package.
func parses(b Block) []string {
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f() {\n"+b.Text+"}\n", 0); err != nil {
		return []string{err.Error()}
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

// runByCI wants each command in .ci/run, word for word, at the beginning of a line; what it prints
// may be kept, and it may have more time.
func runByCI(b Block) (wrong []string) {
	for _, command := range commands(b) {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(command) + `( -timeout \d+m)?($| 2>&1 \| tee )`).MatchString(read(".ci/run")) {
			wrong = append(wrong, ".ci/run does not call "+command)
		}
	}
	return wrong
}

var (
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	argument     = regexp.MustCompile(`^\.{0,2}/?[a-z.][\w./-]*(/|\.[a-z]+)|^\./|^\.ci/run$`)
	flagOfGoTest = []string{"C", "run", "v", "race", "count", "timeout", "args", "bench", "fuzz"}
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

// asInTheFirstHour wants commands that docs/security.md runs, but for the name of the server.
func asInTheFirstHour(b Block) (wrong []string) {
	ran := ""
	blocks, _ := Parse("docs/security.md", read("docs/security.md"))
	for _, one := range blocks {
		if one.Do == "run" {
			ran += "\n" + one.Text
		}
	}
	for _, command := range commands(b) {
		if !strings.Contains(ran, "\n"+strings.Replace(command, "mep.example.org", "127.0.0.2 --listen 127.0.0.2:30100", 1)+"\n") {
			wrong = append(wrong, "docs/security.md does not run "+command)
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

// Each check rejects something.
func TestAWrongBlockIsFound(t *testing.T) {
	require.Empty(t, runsTheImage(Block{Text: docker}))
	for name, texts := range map[string][]string{
		"ci":           {"go test ./... -short\n"},
		"commands":     {"go test ./test/nowhere -run .\n", "go test ./test/docs -run NoSuchTest\n", "go test ./test/docs -nosuchflag 3\n", "build/nothing.sh\n", "go run ./cmd/nothing\n"},
		"docker":       wrongImages(),
		"chart":        {"helm install mepserver build/nothing\n", "helm install mepserver build/helm --set image.name=x\n", "helm upgrade mep edgegallery/mep --set images.mep.tag=x\n", "kubectl apply\n"},
		"rehearsal":    {"kind: Job\n", "a: [\n", strings.Replace(read("docs/edgegallery.md"), "```", "", 1)},
		"release":      {"ctr images import mep-v1.0.0.oci.tar\n", "ctr images import mepserver.tar\n", "sha256sum --check MD5SUMS\n"},
		"unit":         {"[Service]\nNoSuchKey=x\n", "[Service]\nEnvironment=MEP_NO_SUCH=x\n", "[Service]\nEnvironment=MEP_IDENTITY_CLIENT_SECRET_FILE=%d/other\n"},
		"audit":        {`{"msg":"audit"}`, "{\"msg\":\"audit\"}\n{}\n", "{\"msg\":\"other\"}\n"},
		"page":         {`new EventSource("/events") "reset" "change" "ping"`},
		"reader":       {"c := \n"},
		"settings":     {"identity: {jwt: {keyFile: keys}}\n", "identity: {jwt: {secret: keys}}\n"},
		"notification": {`{"notificationType": "SerAvailabilityNotification", "services": []}`, "[]", `{}`},
		"go-chassis":   {"servicecomb:\n  registry:\n    whereabouts: x\n", "ssl:\n  caFile: x\n", "a: [\n"},
	} {
		for _, text := range texts {
			require.NotEmpty(t, checks[name](Block{Text: text}), "%s: %s", name, text)
		}
	}
}
