package client

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// answering is a transport that answers every request alike.
type answering struct {
	status int
	body   string
	asked  []string
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	a.asked = append(a.asked, r.Method+" "+r.URL.Path+" "+string(body))
	w := httptest.NewRecorder()
	w.WriteHeader(a.status)
	_, _ = w.WriteString(a.body)
	return w.Result(), nil
}

var twoBeats = []mp1.HeartbeatOf{{AppInstanceID: "app", SerInstanceID: "a"}, {AppInstanceID: "app", SerInstanceID: "b"}}

func batchClient(t *testing.T, a *answering) *Client {
	t.Helper()
	c, err := New(Options{BaseURL: "http://mep.example/behind", Prefix: "/mep", HTTPClient: &http.Client{Transport: a}})
	require.NoError(t, err)
	return c
}

func TestEachOfManyHeartbeatsHasItsOwnResult(t *testing.T) {
	a := &answering{status: 200, body: `{"results":[{"serInstanceId":"a","status":200,"interval":7},{"serInstanceId":"b","status":409,"type":"urn:mec-liveness:drained","detail":"drained\u0007"}]}`}
	got, err := batchClient(t, a).Heartbeats(t.Context(), twoBeats)
	require.NoError(t, err)
	require.Equal(t, BeatResult{BeatAnswer: BeatAnswer{NewInterval: 7}}, got[0])
	require.ErrorIs(t, got[1].Err, ErrConflict)
	require.ErrorIs(t, got[1].Err, ErrDrained)
	require.ErrorContains(t, got[1].Err, "drained")
	require.NotContains(t, got[1].Err.Error(), "\a")
	method, rest, _ := strings.Cut(a.asked[0], " ")
	path, body, _ := strings.Cut(rest, " ")
	require.Equal(t, "POST /behind/mep"+mp1.HeartbeatsPath, method+" "+path)
	var sent mp1.Heartbeats
	require.NoError(t, json.Unmarshal([]byte(body), &sent))
	require.Equal(t, twoBeats, sent.Heartbeats)
}

func TestResultsOfOtherServicesAreNone(t *testing.T) {
	for name, results := range map[string]string{
		"in another order": `{"serInstanceId":"b","status":404},{"serInstanceId":"a","status":204}`,
		"of one twice":     `{"serInstanceId":"a","status":204},{"serInstanceId":"a","status":404}`,
		"of nobody":        `{"status":204},{"status":404}`,
		"too many":         `{"serInstanceId":"a","status":204},{"serInstanceId":"b","status":204},{"serInstanceId":"a","status":204}`,
		"null":             `null,null`,
	} {
		_, err := batchClient(t, &answering{status: 200, body: `{"results":[` + results + `]}`}).Heartbeats(t.Context(), twoBeats)
		require.ErrorIs(t, err, ErrNoBatches, name)
	}
}

// As many as may be drained, each with a long reason, are no answer that is too large.
func TestAsManyResultsAsThereMayBeAreReadWhateverTheirDetail(t *testing.T) {
	beats := make([]mp1.HeartbeatOf, mp1.MaxHeartbeats)
	results := make([]mp1.HeartbeatResult, len(beats))
	for i := range results {
		beats[i] = mp1.HeartbeatOf{AppInstanceID: "app", SerInstanceID: strings.Repeat("i", 64)}
		results[i] = mp1.HeartbeatResult{SerInstanceID: beats[i].SerInstanceID, Status: http.StatusConflict, Type: mp1.DrainedType, Detail: strings.Repeat("<", 300)}
	}
	body, err := json.Marshal(mp1.HeartbeatResults{Results: results}) // it writes < as six bytes
	require.NoError(t, err)
	a := &answering{status: 200, body: string(body)}
	got, err := batchClient(t, a).Heartbeats(t.Context(), beats)
	require.NoError(t, err)
	for _, r := range got {
		require.ErrorIs(t, r.Err, ErrDrained)
	}
	a.body = `{"results":[` + strings.Repeat(" ", len(beats)*maxResult) + `]}`
	_, err = batchClient(t, a).Heartbeats(t.Context(), beats)
	require.ErrorIs(t, err, ErrTooLarge)
}

// A platform that has no batches is not asked again for a while, and then it is: it may have
// been updated. What else fails says nothing of that.
func TestAPlatformWithoutBatchesIsNotAskedForAWhile(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		has    bool
	}{
		{404, "", false}, {405, "", false}, {403, "", false}, {413, "", false}, {501, "", false}, {302, "", false},
		{200, "<html>", false}, {200, `{"results":[]}`, false},
		{401, "", true}, {429, "", true}, {500, "", true}, {503, "", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := &answering{status: c.status, body: c.body}
			client := batchClient(t, a)
			_, err := client.Heartbeats(t.Context(), twoBeats)
			require.Error(t, err)
			if c.has {
				require.NotErrorIs(t, err, ErrNoBatches, c)
				require.True(t, client.TakesBatches())
				return
			}
			require.ErrorIs(t, err, ErrNoBatches, c)
			time.Sleep(BatchRetry - time.Second)
			require.False(t, client.TakesBatches())
			_, err = client.Heartbeats(t.Context(), twoBeats)
			require.ErrorIs(t, err, ErrNoBatches)
			require.Len(t, a.asked, 1, "it was not asked")
			time.Sleep(time.Second)
			require.True(t, client.TakesBatches())
			a.status, a.body = 200, `{"results":[{"serInstanceId":"a","status":204},{"serInstanceId":"b","status":204}]}`
			_, err = client.Heartbeats(t.Context(), twoBeats)
			require.NoError(t, err)
		})
	}
}
