package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/wait"
)

const (
	terminating = `{"operationAction":"TERMINATING"}`
	ready       = `{"indication":"READY"}`
)

// terminate has the platform begin a termination that waits for its confirmation.
func (p *platform) terminate(graceful string) {
	p.t.Helper()
	p.want(http.StatusAccepted, "DELETE", p.registration()+"?graceful="+graceful, "")
}

// gone waits until the platform does not know the application any more.
func (p *platform) gone() {
	p.t.Helper()
	wait.Until(p.t, "the application is removed", func() bool { return p.Do("GET", p.registration(), "").Status == http.StatusNotFound })
}

// told waits for the notifications of a termination, each of which must be one.
func told(t *testing.T, c *consumer.Consumer, n int) (all []mp1.TerminationNotification) {
	t.Helper()
	wait.Until(t, fmt.Sprint(n, " notifications of a termination"), func() bool { return len(c.Receipts()) >= n })
	for _, r := range c.Receipts() {
		var one mp1.TerminationNotification
		require.NoError(t, json.Unmarshal([]byte(r.Body), &one))
		require.Equal(t, "AppTerminationNotification", one.NotificationType)
		require.NotEmpty(t, r.ID)
		all = append(all, one)
	}
	require.Len(t, all, n)
	return all
}

func TestCONFTASK_001_OK(t *testing.T) {
	p := begin(t, "7.2.11.3.4", "POST confirm_termination TERMINATING after a termination began: 204")
	p.terminate("3600")
	p.want(http.StatusNoContent, "POST", p.support("/confirm_termination"), terminating)
}

func TestCONFTASK_001_NF(t *testing.T) {
	p := begin(t, "7.2.11.3.4", "POST confirm_termination of an unknown appInstanceId: 404")
	p.want(http.StatusNotFound, "POST", supportOf(unknownApp, "/confirm_termination"), terminating)
}

func TestCONFTASK_002_OK(t *testing.T) {
	p := begin(t, "7.2.12.3.4", "POST confirm_ready READY: 204, and again")
	p.want(http.StatusNoContent, "POST", p.support("/confirm_ready"), ready)
	p.want(http.StatusNoContent, "POST", p.support("/confirm_ready"), ready)
}

func TestCONFTASK_002_NF(t *testing.T) {
	p := begin(t, "7.2.12.3.4", "POST confirm_ready of an unknown appInstanceId: 404")
	p.want(http.StatusNotFound, "POST", supportOf(unknownApp, "/confirm_ready"), ready)
}

func TestOWN_ATerminationIsToldConfirmedAndDone(t *testing.T) {
	t.Parallel()
	p := begin(t, "7.1.4.2", "a termination: 202; each of the application's subscriptions is told once, with the seconds that it has and both links; the application works on until it confirms; then its services, subscriptions and itself are removed, and consumers are told REMOVED")
	c, others := newConsumer(t), newConsumer(t)
	one, two := p.subscribeToTermination(c.URL+"/one"), p.subscribeToTermination(c.URL+"/two")
	watcher := with(t, p.Server)
	watcher.want(http.StatusCreated, "POST", watcher.of("/subscriptions"), subscriptionTo(others.URL, `{"serNames":["`+t.Name()+`"]}`))
	stranger := newConsumer(t)
	watcher.subscribeToTermination(stranger.URL)
	s := p.register(t.Name(), -1)

	p.terminate("3600")
	confirm := map[string]string{}
	for _, n := range told(t, c, 2) {
		require.Equal(t, mp1.Terminating, n.OperationAction)
		require.EqualValues(t, 3600, n.MaxGracefulTimeout)
		confirm[n.Links.Subscription.Href] = n.Links.ConfirmTermination.Href
	}
	require.Equal(t, map[string]string{one: p.support("/confirm_termination"), two: p.support("/confirm_termination")}, confirm)

	p.want(http.StatusConflict, "DELETE", p.registration()+"?graceful=1", "")
	p.want(http.StatusOK, "PUT", s.self, serviceInfo(t.Name(), ""))
	p.want(http.StatusOK, "GET", p.registration(), "")
	require.True(t, s.discovered())
	p.want(http.StatusNoContent, "DELETE", two, "")
	p.want(http.StatusBadRequest, "POST", confirm[one], `{"operationAction":"STOPPING"}`)
	p.want(http.StatusNoContent, "POST", confirm[one], terminating)

	p.gone()
	p.want(http.StatusNotFound, "POST", confirm[one], terminating)
	p.want(http.StatusNotFound, "GET", one, "")
	wait.Until(t, "its service is removed", func() bool { return p.Do("GET", mp1.Base+"/services/"+s.id, "").Status == http.StatusNotFound })
	wait.Until(t, "consumers are told", func() bool { return len(others.Changes()) >= 2 })
	require.Equal(t, []string{t.Name() + " ADDED ACTIVE", t.Name() + " REMOVED ACTIVE"}, others.Changes())
	require.Len(t, c.Receipts(), 2, "each is told once")
	require.Empty(t, stranger.Receipts(), "of another application")
}

func TestOWN_ATerminationEndsByItsTimeout(t *testing.T) {
	t.Parallel()
	p := begin(t, "7.1.4.2", "a termination that nobody confirms: not before its timeout, but after it the application is removed")
	c := newConsumer(t)
	p.subscribeToTermination(c.URL)
	began := time.Now()
	p.terminate("2")
	told(t, c, 1)
	wait.Until(t, "removed", func() bool {
		removed := p.Do("GET", p.registration(), "").Status == http.StatusNotFound
		require.True(t, !removed || time.Since(began) >= 2*time.Second, "removed before its time was over")
		return removed
	})
	require.Len(t, c.Receipts(), 1)
}

func TestOWN_TheNotifiedMayEndEverythingBeforeItAnswers(t *testing.T) {
	t.Parallel()
	p := begin(t, "7.1.4.2", "an application that deletes its subscription and its service and confirms while the notification waits for its answer, as AdvantEDGE's demo does: 204 each, and it is removed")
	s := p.register("n", 0)
	var location string
	did := make(chan int, 10)
	url := consumer.Listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		did <- p.Do("DELETE", location, "").Status
		did <- p.Do("DELETE", s.self, "").Status
		did <- p.Do("POST", p.support("/confirm_termination"), terminating).Status
		w.WriteHeader(http.StatusOK)
	}))
	location = p.subscribeToTermination(url)
	p.terminate("3600")
	for range 3 {
		require.Equal(t, http.StatusNoContent, <-did)
	}
	p.gone()
}

func TestOWN_OnlyAGracefulDeletionWaits(t *testing.T) {
	p := begin(t, "7.2.14.3.5", "DELETE of a registration without graceful, also during a termination: 204, and it is gone; graceful that is no number of seconds from 1 to 86400: 400, and nothing happens")
	for _, bad := range []string{"graceful=0", "graceful=", "graceful=-1", "graceful=1.5", "graceful=86401", "graceful=1&graceful=1", "Graceful=1", "force=1"} {
		p.want(http.StatusBadRequest, "DELETE", p.registration()+"?"+bad, "")
	}
	p.want(http.StatusConflict, "POST", p.support("/confirm_termination"), terminating)
	p.terminate("86400")
	p.want(http.StatusNoContent, "DELETE", p.registration(), "")
	p.want(http.StatusNotFound, "GET", p.registration(), "")
	p.want(http.StatusNotFound, "POST", p.support("/confirm_termination"), terminating)
}

func TestOWN_ReadinessIsKept(t *testing.T) {
	p := begin(t, "7.2.12.3.4", "what says something else than READY: 400, but 404 before it; READY is kept with its time, which the administrator sees")
	where := "/mec_liveness/v1/applications/" + p.app
	require.NotContains(t, p.want(http.StatusOK, "GET", where, "").Object(t), "ready")
	for _, body := range []string{"", "{}", "null", `{"indication":"ready"}`, `{"indication":null}`, `{"Indication":"READY"}`, `{"indication":"READY","indication":"READY"}`} {
		p.want(http.StatusBadRequest, "POST", p.support("/confirm_ready"), body)
		p.want(http.StatusNotFound, "POST", supportOf(unknownApp, "/confirm_ready"), body)
	}
	before := time.Now().Add(-time.Second)
	p.want(http.StatusNoContent, "POST", p.support("/confirm_ready"), ready)
	m := p.want(http.StatusOK, "GET", where, "").Object(t)
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(m["ready"]))
	require.NoError(t, err)
	require.WithinRange(t, at, before, time.Now().Add(time.Second))
}
