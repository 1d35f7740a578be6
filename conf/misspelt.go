package conf

import (
	"regexp"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/mp1/spelling"
)

// Misspelt is an environment variable that looks like a setting's and is none.
type Misspelt struct {
	Variable string // such as MEP_PLATFORM_ENDPOINT
	Setting  string // the variable that it is close to: MEP_PLATFORM_ENDPOINTS
}

// MisspeltAgent finds the variables that are nearly those of mep-agent's settings, and
// MisspeltServer those of mepserver's. environ has the form of os.Environ.
func MisspeltAgent(environ []string) []Misspelt { return misspelt(agentSettings(new(Agent)), environ) }

// MisspeltServer is described at MisspeltAgent.
func MisspeltServer(environ []string) []Misspelt { return misspelt(settings(new(Config)), environ) }

// kubernetesVariable is a variable that Kubernetes sets in each container for a Service of the
// namespace. A Service whose name begins with "mep" must not be taken for a mistake.
var kubernetesVariable = regexp.MustCompile(`^MEP(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// maxMistakes is how many letters of a variable may be wrong, missing or too many.
const maxMistakes = 2

func misspelt(all []setting, environ []string) (found []Misspelt) {
	known := make([]string, len(all))
	for i, s := range all {
		known[i] = s.env()
	}
	for _, kv := range environ {
		name, text, _ := strings.Cut(kv, "=")
		if text == "" || !strings.HasPrefix(strings.ToUpper(name), "MEP_") || slices.Contains(known, name) || kubernetesVariable.MatchString(name) {
			continue
		}
		nearest, least := "", maxMistakes+1
		for _, k := range known {
			if d := mistakes(strings.ToUpper(name), k); d < least {
				nearest, least = k, d
			}
		}
		// MEP_LOG_LEVELS is one letter off, and so is MEP_A of MEP_B: of a short name more must be right
		if nearest != "" && 4*least <= len(nearest)-len("MEP_") {
			found = append(found, Misspelt{name, nearest})
		}
	}
	slices.SortFunc(found, func(a, b Misspelt) int { return strings.Compare(a.Variable, b.Variable) })
	return found
}

// mistakes is how many letters must be put in, left out or replaced to make b of a.
// Underscores do not count.
func mistakes(a, b string) int {
	a, b = strings.ReplaceAll(a, "_", ""), strings.ReplaceAll(b, "_", "")
	if d := len(a) - len(b); d > maxMistakes || d < -maxMistakes {
		return maxMistakes + 1 // at least, and there are many names
	}
	return spelling.Distance(a, b)
}
