package mp1

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTimesAreWrittenAsSecondsAndNanoSeconds(t *testing.T) {
	b, err := json.Marshal(CurrentTime{TimeStamp: TimeStampOf(1577836800_000000005), TimeSourceStatus: Traceable})
	require.NoError(t, err)
	require.JSONEq(t, `{"seconds":1577836800,"nanoSeconds":5,"timeSourceStatus":"TRACEABLE"}`, string(b))
}

func TestATimeThatSecondsCannotHoldIsTheNearestThatTheyCan(t *testing.T) {
	for nano, want := range map[int64]TimeStamp{
		math.MinInt64:              {},
		-1:                         {},
		0:                          {},
		math.MaxUint32 * 1e9:       {Seconds: math.MaxUint32},
		math.MaxUint32*1e9 + 5:     {Seconds: math.MaxUint32, NanoSeconds: 5},
		(math.MaxUint32 + 1) * 1e9: {Seconds: math.MaxUint32},
		math.MaxInt64:              {Seconds: math.MaxUint32},
	} {
		require.Equal(t, want, TimeStampOf(nano), "%d", nano)
	}
}
