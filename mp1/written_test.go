package mp1

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// asStored is how the platform stores a ServiceInfo.
func asStored(tb testing.TB, i ServiceInfo) string {
	tb.Helper()
	i = i.Completed()
	i.SerInstanceID, i.State, i.LivenessInterval, i.Links = "", "", nil, nil
	b, err := json.Marshal(i)
	require.NoError(tb, err)
	return string(b)
}

// anyInfo makes descriptions of which each member may be there or not, with all sorts of characters.
type anyInfo struct{ *rand.Rand }

func (a anyInfo) may() bool { return a.IntN(2) == 0 }

func (a anyInfo) text() string {
	const of = "aZ09 _-.:/?=&<>\"\\\n\t\r\x01\x7fäß€\u2028\u2029\ufffd𝄞"
	var b strings.Builder
	some := []rune(of)
	if a.IntN(20) > 0 {
		some = some[:13]
	}
	for range a.IntN(9) {
		b.WriteRune(some[a.IntN(len(some))])
	}
	return b.String()
}

func (a anyInfo) texts() []string {
	if a.may() {
		return nil
	}
	out := []string{}
	for range a.IntN(3) {
		out = append(out, a.text())
	}
	return out
}

func (a anyInfo) transport() *TransportInfo {
	t := &TransportInfo{ID: a.text(), Name: a.text(), Type: TransportType(a.text()), Protocol: a.text(), Version: a.text(),
		Endpoint: EndPointInfo{URIs: a.texts(), FQDN: a.texts()}}
	if a.may() {
		t.Description = a.text()
	}
	if a.may() {
		t.Endpoint.Addresses = []Address{}
		for range a.IntN(3) {
			t.Endpoint.Addresses = append(t.Endpoint.Addresses, Address{a.text(), a.IntN(1 << 16)})
		}
	}
	if a.IntN(4) == 0 {
		t.Endpoint.Alternative = json.RawMessage(`{}`)
	}
	if a.may() {
		t.Security.OAuth2Info = &OAuth2Info{a.texts(), a.text()}
	}
	if a.IntN(9) == 0 {
		t.ImplSpecificInfo = json.RawMessage(`{"x":[1, "<"]}`)
	}
	if a.IntN(9) == 0 {
		t.Security.Extensions = map[string]json.RawMessage{"a": json.RawMessage(`1`), "z": json.RawMessage(`{}`)}
	}
	return t
}

func (a anyInfo) info() (i ServiceInfo) {
	i = ServiceInfo{SerName: a.text(), Version: a.text(), TransportID: a.text(), Serializer: Serializer(a.text()), ScopeOfLocality: Locality(a.text())}
	if a.may() {
		i.SerCategory = &CategoryRef{a.text(), a.text(), a.text(), a.text()}
	}
	if a.may() {
		i.TransportInfo = a.transport()
	}
	if no := false; a.may() {
		i.ConsumedLocalOnly = &no
	}
	return i
}

// readSlowly is ReadStored by encoding/json alone.
func readSlowly(text string) (i ServiceInfo, err error) {
	if err := json.Unmarshal([]byte(text), &i); err != nil {
		return ServiceInfo{}, err
	}
	return i.Completed(), nil
}

// holds checks what ReadStored reads of a text, and what ReadWritten says of it, if it says anything.
func holds(tb testing.TB, text string) (ok bool) {
	tb.Helper()
	i, err := readSlowly(text)
	got, gotErr := ReadStored(text)
	require.Equal(tb, err, gotErr, "%q", text)
	require.Equal(tb, i, got, "%q", text)
	w, ok := ReadWritten(text)
	_, quick := readWritten(text)
	require.Equal(tb, ok, quick, "%q", text)
	if !ok {
		return false
	}
	require.NoError(tb, err, "%q", text)
	require.Equal(tb, text, asStored(tb, i), "it is written so")
	require.Equal(tb, i.SerName, w.SerName(), "%q", text)
	id, is := w.Category()
	require.Equal(tb, i.SerCategory != nil, is, "%q", text)
	if is {
		require.Equal(tb, i.SerCategory.ID, id, "%q", text)
	}
	i.SerInstanceID, i.State, i.TransportID = "the\"id", Suspended, ""
	want, err := json.Marshal(i)
	require.NoError(tb, err)
	require.Equal(tb, string(want), string(w.AppendAnswer(nil, "the\"id", Suspended))+"}", "%q", text)
	return true
}

// What is answered from the stored text must be what would be answered if it were read.
func TestAnAnswerMadeOfTheStoredTextIsTheSame(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	a := anyInfo{rand.New(rand.NewPCG(seed, 0))}
	known := 0
	for range 5000 {
		if holds(t, asStored(t, a.info())) {
			known++
		}
	}
	require.Greater(t, known, 1000, "most are taken so")
}

// Each of these is read otherwise than it stands there, or cannot be read.
func TestWhatIsWrittenOtherwiseIsRead(t *testing.T) {
	var i ServiceInfo
	require.NoError(t, json.Unmarshal([]byte(fullService), &i))
	i.TransportInfo.ImplSpecificInfo, i.TransportInfo.Security.Extensions = nil, nil
	text := asStored(t, i)
	require.True(t, holds(t, text), text)
	for what, change := range map[string][2]string{
		"a space":              {`"serName":`, `"serName": `},
		"isLocal of a client":  {`"isLocal":true`, `"isLocal":false`},
		"no isLocal":           {`,"isLocal":true`, ``},
		"a state":              {`"state":""`, `"state":"ACTIVE"`},
		"an unknown member":    {`"security":{`, `"x":1,"security":{`},
		"a member twice":       {`"version":`, `"version":"1","version":`},
		"what follows":         {`"isLocal":true}`, `"isLocal":true} `},
		"an interval":          {`"isLocal":true`, `"isLocal":true,"livenessInterval":5`},
		"an empty description": {`,"type":`, `,"description":"","type":`},
		"half a character":     {`"serName":"`, "\"serName\":\"\xc3"},
		"an angle bracket":     {`"serName":"`, `"serName":"<`},
		"another escape":       {`"serName":"`, `"serName":"\u0041`},
		"a raw line break":     {`"serName":"`, "\"serName\":\"\n"},
		"a line separator":     {`"serName":"`, "\"serName\":\"\u2028"},
		"cut short":            {`,"isLocal":true}`, `,"isLocal":tr`},
		"no object":            {`{"serName"`, `["serName"`},
		"null":                 {`"isLocal":true`, `"isLocal":null`},
	} {
		other := strings.Replace(text, change[0], change[1], 1)
		require.NotEqual(t, text, other, what)
		require.False(t, holds(t, other), what)
	}
	for _, none := range []string{"", "{", "{}", "null", `{"serName":`, `{"serName":"`} {
		require.False(t, holds(t, none), none)
	}
}

func FuzzReadWritten(f *testing.F) {
	a := anyInfo{rand.New(rand.NewPCG(1, 2))}
	for range 20 {
		f.Add(asStored(f, a.info()))
	}
	for _, text := range []string{fullService, "null", "{}", "[]", "1", `{"serName":"a","serName":"b"}`, `{"SERNAME":"a"}`, `{"serName":null,"isLocal":null}`, `{"serName":1}`} {
		f.Add(text)
	}
	var i ServiceInfo
	require.NoError(f, json.Unmarshal([]byte(fullService), &i))
	i.TransportInfo.ImplSpecificInfo, i.TransportInfo.Security.Extensions = nil, nil
	i.TransportInfo.Endpoint = EndPointInfo{Addresses: []Address{{"h", 80}, {"i", -1}, {"", 0}}}
	text := asStored(f, i)
	f.Add(text)
	for _, port := range []string{"080", "8e1", "8.0", "-0", "9223372036854775808", "null", `"80"`} {
		f.Add(strings.Replace(text, `"port":80`, `"port":`+port, 1))
	}
	f.Fuzz(func(t *testing.T, text string) { holds(t, text) })
}

// It is done for every service that is registered, listed at a start, or found.
func TestToFindTheWayInAStoredTextAllocatesNothing(t *testing.T) {
	var i ServiceInfo
	require.NoError(t, json.Unmarshal([]byte(fullService), &i))
	i.TransportInfo.ImplSpecificInfo, i.TransportInfo.Security.Extensions = nil, nil
	text, to := asStored(t, i), make([]byte, 0, 4096)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		w, ok := ReadWritten(text)
		if !ok || w.SerName() == "" || len(w.AppendAnswer(to, "id", Active)) == 0 {
			t.Fatal("it is not known")
		}
	}))
}

// It is read for every change of every service: by the event stream, by who is told, and by what ServiceComb
// shows.
func TestToReadAStoredTextAllocatesLittle(t *testing.T) {
	var i ServiceInfo
	require.NoError(t, json.Unmarshal([]byte(fullService), &i))
	i.TransportInfo.ImplSpecificInfo, i.TransportInfo.Security.Extensions = nil, nil
	text := asStored(t, i)
	read := func(by func(string) (ServiceInfo, error)) float64 {
		return testing.AllocsPerRun(100, func() {
			if got, err := by(text); err != nil || got.SerName != i.SerName {
				t.Fatal(got, err)
			}
		})
	}
	quick, slow := read(ReadStored), read(readSlowly)
	t.Logf("%.0f objects, encoding/json %.0f", quick, slow)
	require.LessOrEqual(t, quick, 10.0)
	require.Greater(t, slow, 4*quick, "or encoding/json could do it")
}

// Who keeps the name of a service must not keep all of its description.
func TestACopyKeepsNothingOfTheText(t *testing.T) {
	a := anyInfo{rand.New(rand.NewPCG(1, 2))}
	for range 200 {
		text := asStored(t, a.info())
		i, err := ReadStored(text)
		require.NoError(t, err)
		i.Links, i.State = &ServiceLinks{}, State(text[:1])
		from := uintptr(unsafe.Pointer(unsafe.StringData(text)))
		parts := func(v any) (n int) {
			eachString(reflect.ValueOf(v), func(s string) {
				if at := uintptr(unsafe.Pointer(unsafe.StringData(s))); s != "" && at >= from && at < from+uintptr(len(text)) {
					n++
				}
			})
			return n
		}
		require.Positive(t, parts(i), "or there would be nothing to copy")
		copied := i.Copied()
		require.Zero(t, parts(copied), "%s", text)
		i.TransportID, i.TransportInfo, i.Links = "", nil, nil
		require.Equal(t, i, copied)
	}
}

// eachString calls f for every string in a value.
func eachString(v reflect.Value, f func(string)) {
	switch v.Kind() {
	case reflect.String:
		f(v.String())
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			eachString(v.Elem(), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			eachString(v.Field(i), f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachString(v.Index(i), f)
		}
	}
}

func BenchmarkReadStored(b *testing.B) {
	var i ServiceInfo
	require.NoError(b, json.Unmarshal([]byte(fullService), &i))
	i.TransportInfo.ImplSpecificInfo, i.TransportInfo.Security.Extensions = nil, nil
	text := asStored(b, i)
	for name, read := range map[string]func(string) (ServiceInfo, error){"quick": ReadStored, "encoding/json": readSlowly} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := read(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("ReadWritten", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := ReadWritten(text); !ok {
				b.Fatal(text)
			}
		}
	})
}
