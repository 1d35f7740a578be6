package mp1

import (
	"strconv"
	"strings"
)

// maxExponent bounds an exponent before it is calculated with, or the sum could overflow.
// No text has as many digits, so a number beyond it is 0, has a fraction, or is huge.
const maxExponent = 1 << 30

// maxDigits is the number of decimal digits that always fit an int64.
const maxDigits = 18

// wholeNumber reads a JSON number (RFC 8259 §6) that has no fraction and is not negative.
// 60, 60.0, 6e1 and 0.6E+2 are the same number, and clients whose language has no integers
// send any of them. A number larger than most is returned as most: the digits of a large
// exponent must not be written out, because those of 1e999999999 would fill the memory.
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

// decompose splits a JSON number into its digits without zeros at either end, and the
// number of zeros behind them, which is below 0 if the number has a fraction.
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

// PlainNumbers returns a JSON text in which numbers without a fraction are digits alone:
// 60.0 becomes 60. encoding/json reads nothing else into an integer, and platforms whose
// language has no integers write 60.0. Numbers of more than 18 digits, and text that is
// not JSON, are returned as they are.
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
