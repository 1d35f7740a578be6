package mp1

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// readTokens reads a value as encoding/json's Decoder reads it, by the rules of readDocument.
func readTokens(dec *json.Decoder, path string, depth int) (any, error) {
	tok, err := dec.Token()
	delim, ok := tok.(json.Delim)
	if !ok || err != nil {
		return tok, err
	}
	if depth++; depth > maxDepth {
		return nil, &Invalid{"", fmt.Sprintf("the body is nested deeper than %d levels", maxDepth)}
	}
	if delim == '[' {
		list := []any{}
		for dec.More() {
			v, err := readTokens(dec, path, depth)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		return list, err
	}
	m := map[string]any{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if _, twice := m[name]; twice {
			return nil, object{path: path}.memberFault(name, "stands twice in its object")
		}
		inner := path
		if isWord(name) {
			inner = object{path: path}.pathTo(name)
		}
		if m[name], err = readTokens(dec, inner, depth); err != nil {
			return nil, err
		}
	}
	_, err = dec.Token()
	return m, err
}

// documents are bodies, and what is made of them: pieces are cut out, doubled, or put elsewhere.
var documents = []string{
	`{"serName":"a","version":"1","state":"ACTIVE","livenessInterval":60,"transportInfo":{"id":"t","endpoint":{"uris":["http://x/","y"]},"security":{}}}`,
	" { \"a\" : [ 1 , -2.5e+10 , 0.1E-3, true ,false,null ,\"\\u00e9\\n\\\"\\\\\" , \"\u00e9\u2028\" ] ,\r\n\t\"b\":{\"c\":{\"c\":[[],[{}],{}]}} } ",
	`{"a":"\ud83d\ude00\/","\u0061b":1,"ab":2}`,
	`{"a":{"b":1,"b":2}}`, `{"a":[{"x":0},{"y":{"z":"","z":null}}]}`, `{"":{"not a word":{"a":1,"a":2}}}`, `{"a":1,"a":{}}`, `{"a":1e999}`,
	`[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]`, `{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}}}}}}}}}}}`, `"text"`, `12`, `null`, `[]`, `{}`,
}

// Bodies are read without encoding/json's tokens, and so that nobody can tell.
func TestADocumentIsReadAsItsTokensSay(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	read, refused := 0, 0
	check := func(text []byte) {
		if !json.Valid(text) || !utf8.Valid(text) || loneSurrogate(text) { // refused before it is read
			return
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		want, wantErr := readTokens(dec, "", 0)
		got, err := (&valueReader{rest: text}).value("", 0)
		require.Equal(t, wantErr, err, "%s", text)
		if read++; err != nil {
			refused++
			return
		}
		require.Equal(t, want, got, "%s", text)
	}
	for _, text := range documents {
		require.True(t, json.Valid([]byte(text)), text)
		check([]byte(text))
	}
	for range 200_000 {
		text := []byte(documents[rnd.IntN(len(documents))])
		for range 1 + rnd.IntN(3) {
			other := documents[rnd.IntN(len(documents))]
			from := rnd.IntN(len(other))
			piece := other[from:min(from+rnd.IntN(12), len(other))]
			at := rnd.IntN(len(text))
			text = append(append(append([]byte{}, text[:at]...), piece...), text[min(at+rnd.IntN(12), len(text)):]...)
			if len(text) == 0 {
				break
			}
		}
		check(text)
	}
	t.Logf("%d documents, %d of them refused", read, refused)
	require.Greater(t, read, 2000)
	require.Greater(t, refused, 50)
}

// Of 1,690 objects that a registration allocated, 133 were the tokens of its body.
func TestADocumentAllocatesLessThanHalfOfWhatItsTokensDo(t *testing.T) {
	text := []byte(documents[0])
	tokens := testing.AllocsPerRun(100, func() {
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		if _, err := readTokens(dec, "", 0); err != nil {
			panic(err)
		}
	})
	made := testing.AllocsPerRun(100, func() {
		if _, err := readDocument(text); err != nil {
			panic(err)
		}
	})
	t.Logf("%.0f in place of %.0f", made, tokens)
	require.Less(t, made, tokens/2)
}
