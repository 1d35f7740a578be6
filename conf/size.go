package conf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. A file, a variable or a flag writes it as a whole number
// and a unit: 512B, 64KiB, 32MiB, 4GiB or 1TiB; 0 needs none.
type Size int64

// The units of a Size. Those of a thousand are left out: 4GB and 4GiB differ by 7 %,
// and who reads the one as the other sets a bound that he did not mean.
const (
	B   Size = 1
	KiB      = B << 10
	MiB      = KiB << 10
	GiB      = MiB << 10
	TiB      = GiB << 10
)

var sizeUnits = []struct {
	name string
	of   Size
}{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", B}}

const sizeForm = "a size with its unit such as 64KiB, 32MiB or 4GiB"

// ParseSize reads a size. Its error says what form is wanted.
func ParseSize(text string) (Size, error) {
	bad := fmt.Errorf("must be %s, not %s", sizeForm, shown(text))
	if text == "0" {
		return 0, nil
	}
	digits := strings.TrimRight(text, "BKMGTi")
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || strings.HasPrefix(digits, "+") {
		return 0, bad
	}
	for _, u := range sizeUnits {
		if text[len(digits):] != u.name {
			continue
		}
		if n > uint64(math.MaxInt64/u.of) {
			return 0, bad
		}
		return Size(n) * u.of, nil
	}
	return 0, bad
}

// String writes the size as ParseSize reads it, with the largest unit that needs no
// fraction.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.of == 0 {
			return strconv.FormatInt(int64(s/u.of), 10) + u.name
		}
	}
	return "0"
}
