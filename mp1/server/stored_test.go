package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// storedAs is a description as the platform stores it.
func storedAs(tb testing.TB, info mp1.ServiceInfo) string {
	tb.Helper()
	info = info.Completed()
	info.SerInstanceID, info.State = "", ""
	b, err := json.Marshal(info)
	require.NoError(tb, err)
	return string(b)
}

func described() mp1.ServiceInfo {
	return mp1.ServiceInfo{SerName: "n & m", Version: "1", TransportID: "label", Serializer: "JSON", SerCategory: &mp1.CategoryRef{Href: "/c", ID: "c", Name: "n", Version: "1"},
		TransportInfo: &mp1.TransportInfo{ID: "t", Name: "REST", Type: "REST_HTTP", Protocol: "HTTP", Version: "2.0", Endpoint: mp1.EndPointInfo{URIs: []string{"http://h:1/?a=1&b=2"}}}}
}

// A service is shown in the same bytes, and has the same ETag, whether its text is copied or read:
// its text may be that of another release, and be written anew by this one.
func TestACopiedServiceIsShownAsOneThatIsRead(t *testing.T) {
	info := described()
	text := storedAs(t, info)
	for _, owner := range []string{"app", `an "app" & more`} {
		for _, interval := range []int{0, 30} {
			for _, compat := range []bool{false, true} {
				for _, published := range []func(*Service) *mp1.EndPointInfo{nil, func(*Service) *mp1.EndPointInfo { return nil }, func(s *Service) *mp1.EndPointInfo {
					return &mp1.EndPointInfo{URIs: []string{"https://gateway/" + s.Info().SerName}}
				}} {
					copied, err := StoredService(owner, "id1", mp1.Suspended, interval, text)
					require.NoError(t, err)
					require.NotEmpty(t, copied.stored)
					one := info.Completed()
					one.SerInstanceID, one.State = "id1", mp1.Suspended
					read := NewService(owner, one, interval)
					for _, s := range []*Service{copied, read} {
						s.EdgeGallery, s.Published = compat, published
					}
					require.Equal(t, read.Info(), copied.Info())
					for _, prefix := range []string{"", mepPrefix} {
						require.Equal(t, string(read.represent(prefix).body), string(copied.represent(prefix).body))
						require.Equal(t, read.represent(prefix).etag, copied.represent(prefix).etag)
						require.Equal(t, "x"+string(read.represent(prefix).body), string(copied.appendTo([]byte("x"), prefix)))
						require.Same(t, copied.represent(prefix), copied.represent(prefix))
					}
				}
			}
		}
	}
	_, err := StoredService("app", "id1", mp1.Active, 0, `{"serName":1}`)
	require.Error(t, err)
	other, err := StoredService("app", "id1", mp1.Active, 0, strings.Replace(text, `"isLocal":true`, `"isLocal":false`, 1))
	require.NoError(t, err)
	require.Empty(t, other.stored)
	require.Contains(t, string(other.represent("").body), `"isLocal":true`)
}

// A list is the same whether it is short enough to be written in one piece or not.
func TestAShortListIsWrittenAsALongOne(t *testing.T) {
	d := newFakeRegistry()
	for n := range 30 {
		d.found = []*Service{}
		for i := range n {
			info := described()
			info.SerName = strings.Repeat("n", 40*i)
			s, err := StoredService("app", fmt.Sprint("id", i), mp1.Active, 5, storedAs(t, info))
			require.NoError(t, err)
			d.found = append(d.found, s)
		}
		var want []string
		for _, s := range d.found {
			want = append(want, string(s.represent("").body))
		}
		for _, method := range []string{"GET", "HEAD"} {
			w := request(d, method, mp1.Base+"/services", nil)
			require.Equal(t, 200, w.Code)
			body := "[" + strings.Join(want, ",") + "]\n"
			require.Equal(t, fmt.Sprint(len(body)), w.Header().Get("Content-Length"))
			if method == "GET" {
				require.Equal(t, body, w.Body.String())
			}
		}
	}
}

// The first who asks for a service by its name makes as little garbage as the next: of many
// services each is asked for seldom.
func TestToShowAServiceForTheFirstTimeAllocatesLittle(t *testing.T) {
	text, out := storedAs(t, described()), make([]byte, 0, listBufferSize)
	objects := testing.AllocsPerRun(100, func() {
		s, err := StoredService("app", "id1", mp1.Active, 5, text)
		if err != nil {
			t.Fatal(err)
		}
		if short, _ := shortList(out, []*Service{s}, ""); len(short) == 0 {
			t.Fatal("it is not short")
		}
	})
	require.LessOrEqual(t, objects, 2.0)
}

func BenchmarkFirstLook(b *testing.B) {
	text, out := storedAs(b, described()), make([]byte, 0, listBufferSize)
	b.Run("copied", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, _ := StoredService("app", "id1", mp1.Active, 5, text)
			out = s.appendTo(out[:0], "")
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			info, _ := mp1.ReadStored(text)
			out = append(out[:0], NewService("app", info, 5).represent("").body...)
		}
	})
}
