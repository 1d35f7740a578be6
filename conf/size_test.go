package conf

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSizesAreReadAndWrittenWithTheirUnit(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "0B": 0, "0MiB": 0, "1B": 1, "512B": 512, "64KiB": 64 << 10, "32MiB": 32 << 20, "4GiB": 4 << 30, "2TiB": 2 << 40,
		"1536MiB": 1536 << 20, "9223372036854775807B": math.MaxInt64, "8388607TiB": 8388607 << 40,
	} {
		got, err := ParseSize(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for s, want := range map[Size]string{0: "0", 1: "1B", 1024: "1KiB", 1536: "1536B", 32 << 20: "32MiB", 4 << 30: "4GiB", 2048 << 30: "2TiB"} {
		assert.Equal(t, want, s.String())
		back, err := ParseSize(s.String())
		require.NoError(t, err)
		assert.Equal(t, s, back)
	}
}

func TestWhatIsNoSizeIsRefusedWithItsForm(t *testing.T) {
	for _, text := range []string{"", " ", "4", "GiB", "4GB", "4 GiB", "4gib", "4Gib", "4G", "4iB", "4KMiB", "-1MiB", "+1MiB", "1.5GiB", "1e3MiB", "0x10MiB",
		"1_000MiB", "4GiB ", "8388608TiB", "9223372036854775808B", "99999999999999999999MiB", "٣MiB"} {
		_, err := ParseSize(text)
		assert.ErrorContains(t, err, "must be a size with its unit such as 64KiB, 32MiB or 4GiB, not ", text)
	}
}
