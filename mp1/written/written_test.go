package written

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// texts are strings in all sorts of spellings, some of them no JSON.
var texts = []string{`""`, `"a"`, `"a b/ä語😀"`, `"\"\\\/\b\f\n\r\t"`, `"\u0041\u00e4\u2028\ud83d\ude00"`, `"\ud83d"`, `"\udc00\ud800"`, `"\u00zz"`, `"\u00`, `"\`, `"\x"`, `"`, ``,
	"\"\n\"", "\"\x00\"", "\"\x7f\"", "\"\xc3\"", "\"\xff\"", "\"\u2028\u2029\ufffd\"", `"<>&"`, `"\u003c\u003e\u0026"`, `"\u003C"`, `"\u000a"`, `"{\"serName\":\"a\\\"b\"}"`, `"a"b"`, `"a" `, ` "a"`, `null`, `1`}

func readText[T string | []byte](r Reader[T]) (value string, ok bool) {
	Text(&r, &value)
	return value, r.Done()
}

// holdsOfText checks what is read of a string, if it is read.
func holdsOfText(tb testing.TB, text string) (read, exact bool) {
	tb.Helper()
	var want string
	err := json.Unmarshal([]byte(text), &want)
	value, read := readText(Of(text))
	value2, read2 := readText(Of([]byte(text)))
	require.Equal(tb, read, read2, "%q", text)
	if read {
		require.NoError(tb, err, "%q", text)
		require.Equal(tb, []string{want, want}, []string{value, value2}, "%q", text)
	}
	value, exact = readText(Exactly(text))
	value2, exact2 := readText(Exactly([]byte(text)))
	require.Equal(tb, exact, exact2, "%q", text)
	if exact {
		require.True(tb, read, "%q", text)
		require.Equal(tb, []string{want, want}, []string{value, value2}, "%q", text)
		again, err := json.Marshal(want)
		require.NoError(tb, err)
		require.Equal(tb, text, string(again), "it is written so")
	}
	r := Of(text)
	r.Skip()
	require.Equal(tb, read, r.Done(), "%q", text)
	return read, exact
}

func holdsOfNumber[N ~int | ~int64 | ~uint64 | ~uint8](tb testing.TB, text string) (ok bool) {
	tb.Helper()
	var got, got2, want N
	r, r2 := Of(text), Of([]byte(text))
	Int(&r, &got)
	Int(&r2, &got2)
	require.Equal(tb, r.Done(), r2.Done(), "%q", text)
	if r.Done() {
		require.NoError(tb, json.Unmarshal([]byte(text), &want), "%q", text)
		require.Equal(tb, []N{want, want}, []N{got, got2}, "%q", text)
	}
	return r.Done()
}

func TestWhatIsReadIsReadAsEncodingJSONReadsIt(t *testing.T) {
	reads := 0
	for _, text := range texts {
		if read, _ := holdsOfText(t, text); read {
			reads++
		}
	}
	require.Equal(t, 11, reads)
	for text, of := range map[string][4]bool{ // int, int64, uint64, uint8
		"0": {true, true, true, true}, "7": {true, true, true, true}, "255": {true, true, true, true}, "256": {true, true, true, false}, "-1": {true, true, false, false},
		"9223372036854775807": {true, true, true, false}, "9223372036854775808": {}, "-9223372036854775808": {true, true, false, false}, "18446744073709551615": {},
		"": {}, "-": {}, "-0": {}, "00": {}, "01": {}, "-01": {}, "1.0": {}, "1e3": {}, "+1": {}, " 1": {}, "1 ": {}, "1_0": {}, "0x1": {}, "null": {}, `"1"`: {}, "true": {}} {
		require.Equal(t, of, [4]bool{holdsOfNumber[int](t, text), holdsOfNumber[int64](t, text), holdsOfNumber[uint64](t, text), holdsOfNumber[uint8](t, text)}, "%q", text)
	}
}

// What is written every day must not be another form: that costs a tenth.
func TestWhatTheEncoderWritesIsRead(t *testing.T) {
	for _, value := range []string{"", "a", "/a?b=c#d", `{"a":"b\\"}`, "ä語😀\ufffd", "line\nand\ttab", "<a>&b"} {
		text, err := json.Marshal(value)
		require.NoError(t, err)
		read, exact := holdsOfText(t, string(text))
		require.True(t, read && exact, "%s", text)
	}
	for c := range rune(0x3000) {
		if !utf8.ValidRune(c) {
			continue
		}
		text, err := json.Marshal("a" + string(c) + "z")
		require.NoError(t, err)
		read, _ := holdsOfText(t, string(text))
		require.True(t, read, "%s", text)
	}
}

// Once something is otherwise, nothing that follows makes it good.
func TestNothingIsReadBehindWhatIsOtherwise(t *testing.T) {
	r := Of(`{"a":"x","b":"y"}`)
	var a, b string
	r.Take(`{"z":`)
	Text(&r, &a)
	MayText(&r, `{"a":`, &b)
	require.Equal(t, []any{"", "", 0, false, false}, []any{a, b, r.At(), r.May(``), r.Done()})
	r = Of(`{"a":"x"}`)
	r.Take(`{"a":`)
	r.Refuse()
	Text(&r, &a)
	r.Take(`}`)
	require.Equal(t, []any{"", false}, []any{a, r.Done()})
	r = Of(`{"a":"x"}`)
	MayText(&r, `{"b":`, &a)
	MayText(&r, `{"a":`, &b)
	require.False(t, r.Done(), "something is left")
	r.Take(`}`)
	require.Equal(t, []any{"", "x", true}, []any{a, b, r.Done()})
}

func TestAStringThatIsSkippedAllocatesNothing(t *testing.T) {
	text := []byte(`"` + strings.Repeat(`ä\"<`, 400) + `"`)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		r := Of(text)
		if r.Skip(); !r.Done() {
			t.Fatal("it is not read")
		}
	}))
	var value string
	require.Equal(t, 2.0, testing.AllocsPerRun(100, func() { r := Of(text); Text(&r, &value) }), "its value, and room for it")
	short := append(text[:1+5*200:1+5*200], '"')
	require.Equal(t, 1.0, testing.AllocsPerRun(100, func() { r := Of(short); Text(&r, &value) }), "its value")
	require.Equal(t, strings.Repeat(`ä"<`, 200), value)
}

func FuzzReader(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	for _, number := range []string{"0", "-1", "255", "-9223372036854775808", "18446744073709551615", "-0", "01", "1.0"} {
		f.Add(number)
	}
	f.Fuzz(func(t *testing.T, text string) {
		holdsOfText(t, text)
		holdsOfNumber[int](t, text)
		holdsOfNumber[int64](t, text)
		holdsOfNumber[uint64](t, text)
		holdsOfNumber[uint8](t, text)
	})
}
