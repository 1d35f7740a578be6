package retryafter

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBothFormsAreRead(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "1.5": 0, "soon": 0, "99999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		h := http.Header{"Date": {now.Format(http.TimeFormat)}}
		h.Set("Retry-After", text)
		require.Equal(t, want, Parse(h), text)
	}
	undated := http.Header{"Retry-After": {now.Format(http.TimeFormat)}}
	require.Zero(t, Parse(undated), "a date means nothing without the answer's own")
}

func TestNobodyComesTooSoon(t *testing.T) {
	for wait, want := range map[time.Duration]int{0: 0, time.Nanosecond: 1, time.Second: 1, time.Second + 1: 2, 2500 * time.Millisecond: 3} {
		require.Equal(t, want, Seconds(wait), wait.String())
	}
}
