package suite

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A run of a million services ended with an answer of which the part that failed was cut off.
func TestWhatWasNotRenewedOfABatchIsSaid(t *testing.T) {
	for answer, want := range map[string]struct {
		renewed int
		other   string
	}{
		`{"results":[{"serInstanceId":"a","status":204},{"serInstanceId":"b","status":204}]}`: {2, ""},
		`{"results":[{"serInstanceId":"a","status":204},{"serInstanceId":"b","status":200}]}`: {2, ""},
		`{"results":[{"serInstanceId":"a","status":204},{"serInstanceId":"b","status":503,"problem":{"status":503}},{"serInstanceId":"c","status":404}]}`: {
			1, `{"serInstanceId":"b","status":503,"problem":{"status":503}}`},
		`{"status":503,"detail":"the store did not answer"}`: {0, `{"status":503,"detail":"the store did not answer"}`},
		`nonsense`: {0, `nonsense`},
	} {
		n, other := renewed([]byte(answer))
		require.Equal(t, want.renewed, n, answer)
		require.Equal(t, want.other, string(other), answer)
	}
}
