package mp1

import (
	"errors"
	"strings"
	"testing"
)

func TestTheReasonOfADrainIsOnePrintableText(t *testing.T) {
	longest := strings.Repeat("ü", MaxDrainReason)
	for body, want := range map[string]string{
		`{"reason":"disk is replaced"}`:    "disk is replaced",
		`{"reason":"` + longest + `"}`:     longest,
		`{"reason":"<b>&\"quoted\" 磁盘 😀"}`: `<b>&"quoted" 磁盘 😀`,
		`{"reason":"` + longest + `x"}`:    "",
		`{"reason":""}`:                    "",
		`{"reason":"  "}`:                  "",
		`{"reason":null}`:                  "",
		`{"reason":7}`:                     "",
		`{"reason":"a\nb"}`:                "",
		`{"reason":"a\u202eb"}`:            "",
		`{"reason":"a\u2028b"}`:            "",
		`{"Reason":"a"}`:                   "",
		`{"reason":"a","until":"noon"}`:    "",
		`{}`:                               "",
		`[]`:                               "",
		`{"reason":"a"} {}`:                "",
	} {
		d, err := DecodeDrainRequest([]byte(body))
		var bad *Invalid
		if want != "" && (err != nil || d.Reason != want) || want == "" && !errors.As(err, &bad) {
			t.Errorf("%s: %q, %v", body, d.Reason, err)
		}
	}
}
