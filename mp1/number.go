package mp1

import (
	"strconv"
	"strings"
)

// maxExponent bounds the exponent of a number before it is reckoned with; texts are far
// shorter, so that beyond it a number is zero, has a fraction, or is huge.
const maxExponent = 1 << 30

// maxDigits is how many digits always fit an int64.
const maxDigits = 18

// wholeNumber reads a JSON number (RFC 8259 §6) that has no fraction and is not negative:
// 60, 60.0, 6e1 and 0.6E+2 are the same number, and clients whose language has no
// integers send any of them. What is larger than most counts as most. The digits of a
// large exponent are never written out: 1e999999999 would fill the memory.
func wholeNumber(text string, most int) (n int, ok bool) {
	significant, zeros, negative := decompose(text)
	switch {
	case significant == "":
		return 0, true // -0 and 0e9 are 0, too
	case negative || zeros < 0:
		return 0, false
	case len(significant)+zeros > maxDigits:
		return most, true
	}
	v, err := strconv.ParseInt(significant+strings.Repeat("0", zeros), 10, 64)
	if err != nil || v > int64(most) {
		return most, err == nil
	}
	return int(v), true
}

// scientific takes a JSON number apart: its digits without zeros at either end, and the
// zeros that stand behind them; below 0, it has a fraction.
func decompose(text string) (significant string, zeros int, negative bool) {
	text, negative = strings.CutPrefix(text, "-")
	exponent := 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		n, err := strconv.Atoi(text[i+1:])
		if err != nil { // beyond an int: Atoi gives the end of the range that it is beyond
			n = maxExponent
			if text[i+1] == '-' {
				n = -maxExponent
			}
		}
		exponent, text = min(max(n, -maxExponent), maxExponent), text[:i]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	significant = strings.TrimRight(digits, "0")
	return significant, exponent - len(fraction) + len(digits) - len(significant), negative
}

// PlainNumbers writes the numbers of a JSON text that have no fraction as digits alone:
// 60.0 becomes 60. encoding/json takes nothing else for an integer, and platforms whose
// language has none write them so. Numbers of more than 18 digits, and what is no JSON,
// stay as they are.
func PlainNumbers(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		end := i + 1
		switch c := data[i]; {
		case c == '"':
			for end < len(data) && data[end] != '"' {
				if data[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(data))
		case c == '-' || c >= '0' && c <= '9':
			for end < len(data) && strings.IndexByte("+-.eE0123456789", data[end]) >= 0 {
				end++
			}
			out = append(out, plainNumber(string(data[i:end]))...)
			i = end
			continue
		}
		out = append(out, data[i:end]...)
		i = end
	}
	return out
}

func plainNumber(number string) string {
	if !strings.ContainsAny(number, ".eE") || strings.HasSuffix(strings.ToLower(number), "e") {
		return number
	}
	significant, zeros, negative := decompose(number)
	switch {
	case significant == "":
		return "0"
	case zeros < 0 || len(significant)+zeros > maxDigits:
		return number
	}
	if negative {
		significant = "-" + significant
	}
	return significant + strings.Repeat("0", zeros)
}
