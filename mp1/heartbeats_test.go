package mp1

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHeartbeatsAreReadStrictly(t *testing.T) {
	one := `{"appInstanceId":"a","serInstanceId":"s"}`
	many := strings.Repeat(one+",", MaxHeartbeats-1) + one
	for body, want := range map[string]int{
		`{"heartbeats":[` + one + `]}`:                                                             1,
		` { "heartbeats" : [ ` + one + " , " + one + "\t]\r\n} ":                                   2,
		`{"heartbeats":[{"serInstanceId":"s","appInstanceId":"a"}]}`:                               1,
		`{"heartbeats":[{"serInstanceId":"s","appInstanceId":"a","x":[{}]}],"y":null}`:             1,
		`{"heartbeats":[` + many + `]}`:                                                            MaxHeartbeats,
		"{\"heartbeats\":[{\"serInstanceId\":\"\u00e9\\n\\u0000\",\"appInstanceId\":\"a\\\"\"}]}":  1,
		`{"heartbeats":[{"serInstanceId":"","appInstanceId":"` + strings.Repeat("a", 500) + `"}]}`: 1,
	} {
		got, err := DecodeHeartbeats([]byte(body), nil)
		require.NoError(t, err, body)
		require.Len(t, got, want, body)
	}
	for body, fault := range map[string]string{
		``: "empty", `{}`: "heartbeats: is mandatory", `{"heartbeats":[]}`: "must not be empty", `{"heartbeats":null}`: "heartbeats: is mandatory",
		`{"heartbeats":` + one + `}`:                                                     "must be an array",
		`{"heartbeats":[null]}`:                                                          "heartbeats[0]: must be an object",
		`{"heartbeats":[` + one + `,{"appInstanceId":"a"}]}`:                             "heartbeats[1].serInstanceId: is mandatory",
		`{"heartbeats":[{"appInstanceId":"a","serInstanceId":null}]}`:                    "heartbeats[0].serInstanceId: is mandatory",
		`{"heartbeats":[{"appInstanceId":1,"serInstanceId":"s"}]}`:                       "heartbeats[0].appInstanceId: must be a string",
		`{"heartbeats":[{"appInstanceId":"a","serInstanceId":"s","appInstanceId":"b"}]}`: "appInstanceId: stands twice",
		`{"heartbeats":[{"appInstanceId":"a","serInstanceId":"s","SerInstanceId":"b"}]}`: "heartbeats[0].serInstanceId: the name must be written exactly so",
		`{"heartbeats":[` + one + `],"heartbeats":[` + one + `]}`:                        "heartbeats: stands twice",
		`{"Heartbeats":[` + one + `],"heartbeats":[` + one + `]}`:                        "the name must be written exactly so",
		`{"heartbeats":[` + many + `,` + one + `]}`:                                      "must not have more than 1000 elements",
		`{"heartbeats":[` + one + `]}{}`:                                                 "exactly one JSON document",
		`{"heartbeats":[` + one + `,]}`:                                                  "exactly one JSON document",
		`[` + one + `]`:                                                                  "must be a JSON object",
		"{\"heartbeats\":[{\"appInstanceId\":\"a\xff\",\"serInstanceId\":\"s\"}]}":       "valid UTF-8",
		`{"heartbeats":[{"appInstanceId":"a","serInstanceId":"\ud800"}]}`:                "lone surrogates",
		`{"heartbeats":[` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `]}`:     "nested deeper",
	} {
		_, err := DecodeHeartbeats([]byte(body), nil)
		var bad *Invalid
		require.ErrorAs(t, err, &bad, body)
		require.ErrorContains(t, err, fault, body)
	}
}

// Nearly every body is read without parsing; what is read of it must not depend on that.
func TestTheUsualBodyOfHeartbeatsIsReadWithoutParsing(t *testing.T) {
	var beats Heartbeats
	for i := range MaxHeartbeats {
		beats.Heartbeats = append(beats.Heartbeats, HeartbeatOf{fmt.Sprint("app-", i%3), strings.Repeat("0", 60) + fmt.Sprint(i)})
	}
	body, err := json.Marshal(beats)
	require.NoError(t, err)
	got, ok := scanHeartbeats(string(body), nil)
	require.True(t, ok)
	require.Equal(t, beats.Heartbeats, got)
	if testing.Short() {
		return
	}
	for most, room := range map[float64][]HeartbeatOf{2: nil, 1: make([]HeartbeatOf, 3, MaxHeartbeats)} {
		n := testing.AllocsPerRun(10, func() {
			if got, err = DecodeHeartbeats(body, room); err != nil {
				t.Error(err)
			}
		})
		require.LessOrEqual(t, n, most, "the text, and the list of its parts if it has no room")
		require.Equal(t, beats.Heartbeats, got)
	}
}

func FuzzHeartbeats(f *testing.F) {
	for _, s := range []string{`{"heartbeats":[{"appInstanceId":"a","serInstanceId":"s"}]}`, `{"heartbeats":[{"serInstanceId":"s" ,"appInstanceId":""},{}]} `,
		`{"heartbeats":[{"appInstanceId":"\"","serInstanceId":"é"}],"x":1}`, `{"heartbeats":[{"appInstanceId":"a","appInstanceId":"b"}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		want, err := parseHeartbeats(body)
		got, ok := scanHeartbeats(string(body), nil)
		if ok {
			require.NoError(t, err, "what the scanner takes, the strict reader takes")
			require.Equal(t, want, got)
		}
	})
}
