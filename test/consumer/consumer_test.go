package consumer_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
)

// post sends what a platform would and returns the status of the answer.
func post(t *testing.T, c *consumer.Consumer, id, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL+"/cb", strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("webhook-id", id)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

func changes(name string, states ...string) string {
	var refs []string
	for _, s := range states {
		refs = append(refs, `{"serName":"`+name+`","changeType":"STATE_CHANGED","state":"`+s+`"}`)
	}
	return `{"serviceReferences":[` + strings.Join(refs, ",") + `]}`
}

func TestAConsumerKeepsWhatItIsTold(t *testing.T) {
	c := consumer.Start(t)
	require.Equal(t, http.StatusNoContent, post(t, c, "1", changes("a", "SUSPENDED", "ACTIVE")))
	c.Answer(http.StatusServiceUnavailable)
	require.Equal(t, http.StatusServiceUnavailable, post(t, c, "2", changes("b", "ACTIVE")))
	require.Equal(t, http.StatusServiceUnavailable, post(t, c, "2", changes("b", "ACTIVE")))
	require.Equal(t, []string{"a STATE_CHANGED SUSPENDED", "a STATE_CHANGED ACTIVE", "b STATE_CHANGED ACTIVE", "b STATE_CHANGED ACTIVE"}, c.Changes())
	require.Equal(t, c.Changes()[:3], c.Distinct())
	require.Len(t, c.Receipts(), 3)
	require.Equal(t, "2", c.Last().ID)
	require.Equal(t, "/cb", c.Last().Path)
	require.Equal(t, c.Receipts()[1].At, c.FirstOf("b STATE_CHANGED ACTIVE"))
	require.Zero(t, c.FirstOf("b STATE_CHANGED SUSPENDED"))
	require.Empty(t, c.Faults())
}

func TestAConsumerNoticesWhatMayNotBe(t *testing.T) {
	c := consumer.Start(t)
	post(t, c, "1", changes("a", "ACTIVE"))
	post(t, c, "1", changes("a", "SUSPENDED"))
	require.Len(t, c.Faults(), 1, "one id, two bodies")
	require.Equal(t, http.StatusBadRequest, post(t, c, "2", "{"))
	require.Len(t, c.Faults(), 2, "no notification")
	require.Len(t, c.Receipts(), 2)
}

func TestAHookRunsOnceForItsService(t *testing.T) {
	c := consumer.Start(t)
	before, after := 0, make(chan struct{}, 2)
	c.Once("b", func() { before++ }, func() { after <- struct{}{} })
	for _, name := range []string{"a", "b", "b"} {
		post(t, c, name, changes(name, "ACTIVE"))
	}
	require.Equal(t, 1, before)
	<-after
	require.Empty(t, after)
}
