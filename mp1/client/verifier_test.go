package client

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// signingKey is one of a platform that signs as ours does.
type signingKey struct{ private ed25519.PrivateKey }

func newSigningKey(seed byte) signingKey {
	return signingKey{ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+seed)), ed25519.SeedSize)))}
}

func (k signingKey) public() string {
	return publicKeyPrefix + base64.StdEncoding.EncodeToString(k.private[ed25519.SeedSize:])
}

func (k signingKey) sign(id, timestamp, body string) string {
	return signatureScheme + base64.StdEncoding.EncodeToString(ed25519.Sign(k.private, []byte(id+"."+timestamp+"."+body)))
}

// headers are those of a notification that the key has signed.
func (k signingKey) headers(id string, at time.Time, body string) http.Header {
	timestamp := fmt.Sprint(at.Unix())
	return http.Header{"Content-Type": {"application/json"}, webhookID: {id}, webhookTimestamp: {timestamp}, webhookSignature: {k.sign(id, timestamp, body)}}
}

func fixedVerifier(t *testing.T, keys ...signingKey) *Verifier {
	t.Helper()
	var texts []string
	for _, k := range keys {
		texts = append(texts, k.public())
	}
	source, err := FixedKeys(texts...)
	require.NoError(t, err)
	return NewVerifier(source)
}

// The vector is that of the tests of Standard Webhooks' own library for Go
// (libraries/go/webhook_asymmetric_test.go), which nobody here has made.
func TestASignatureIsThatOfStandardWebhooks(t *testing.T) {
	seed, err := base64.StdEncoding.DecodeString("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=")
	require.NoError(t, err)
	s, err := readSigned(http.Header{webhookID: {"msg_p5jXN8AQM9LWM0D4loKWxJek"}, webhookTimestamp: {"1614265330"},
		webhookSignature: {"v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="}})
	require.NoError(t, err)
	keys, err := parseKeys([]string{signingKey{ed25519.NewKeyFromSeed(seed)}.public()})
	require.NoError(t, err)
	require.True(t, s.by(keys, []byte(`{"test": 2432232314}`)))
	require.False(t, s.by(keys, []byte(`{"test":2432232314}`)))
}

func TestOnlyWhatThePlatformSignedIsVerified(t *testing.T) {
	ours, others, old := newSigningKey(0), newSigningKey(1), newSigningKey(2)
	now := time.Now()
	const id, body = "sub-1-2", `{"a":1}`
	var n int
	fresh := func() string { n++; return fmt.Sprintf("%s-%d", id, n) } // no case is another's replay
	set := func(name, value string) func(http.Header) { return func(h http.Header) { h[name] = []string{value} } }
	for name, c := range map[string]struct {
		by     signingKey
		at     time.Time
		body   string
		change func(http.Header)
		why    string // "": it is verified
	}{
		"signed":                    {by: ours},
		"signed, a little early":    {by: ours, at: now.Add(tolerance - 10*time.Second)},
		"signed, a little late":     {by: ours, at: now.Add(-tolerance + 10*time.Second)},
		"signed by the older key":   {by: old},
		"beside other schemes":      {by: ours, change: func(h http.Header) { h[webhookSignature][0] = "v1,QUJD v2a,QUJD  " + h[webhookSignature][0] + " x" }},
		"beside another's":          {by: ours, change: func(h http.Header) { h[webhookSignature][0] = others.sign("a", "1", "") + " " + h[webhookSignature][0] }},
		"signed by another":         {by: others, why: "no signature is by a key"},
		"of another body":           {by: ours, body: `{"a":2}`, why: "no signature is by a key"},
		"of an empty body":          {by: ours, body: "\x00", why: "no signature is by a key"},
		"of another id":             {by: ours, change: set(webhookID, "sub-1-3"), why: "no signature is by a key"},
		"of another time":           {by: ours, change: set(webhookTimestamp, fmt.Sprint(now.Unix()+1)), why: "no signature is by a key"},
		"old":                       {by: ours, at: now.Add(-tolerance - 2*time.Second), why: "its time is more than 5m0s"},
		"from the future":           {by: ours, at: now.Add(tolerance + 2*time.Second), why: "its time is more than 5m0s"},
		"from long ago":             {by: ours, at: time.Unix(-1<<36, 0), why: "its time is more than 5m0s"},
		"without a signature":       {by: ours, change: func(h http.Header) { h.Del(webhookSignature) }, why: "no webhook-signature"},
		"without an id":             {by: ours, change: func(h http.Header) { h.Del(webhookID) }, why: "no webhook-id"},
		"without a time":            {by: ours, change: func(h http.Header) { h.Del(webhookTimestamp) }, why: "no webhook-timestamp"},
		"with an empty signature":   {by: ours, change: set(webhookSignature, ""), why: "no webhook-signature"},
		"with a blank signature":    {by: ours, change: set(webhookSignature, " "), why: "no signature of scheme v1a"},
		"with half a signature":     {by: ours, change: func(h http.Header) { h[webhookSignature][0] = h[webhookSignature][0][:40] }, why: "no signature of scheme v1a"},
		"signed by a shared secret": {by: ours, change: func(h http.Header) { h[webhookSignature][0] = strings.Replace(h[webhookSignature][0], "v1a", "v1", 1) }, why: "no signature of scheme v1a"},
		"of a scheme in capitals":   {by: ours, change: func(h http.Header) { h[webhookSignature][0] = strings.Replace(h[webhookSignature][0], "v1a", "V1A", 1) }, why: "no signature of scheme v1a"},
		"with two ids":              {by: ours, change: func(h http.Header) { h.Add(webhookID, "sub-1-2") }, why: "more than one webhook-id"},
		"with two signatures":       {by: ours, change: func(h http.Header) { h.Add(webhookSignature, h.Get(webhookSignature)) }, why: "more than one webhook-signature"},
		"with two times":            {by: ours, change: func(h http.Header) { h.Add(webhookTimestamp, "1") }, why: "more than one webhook-timestamp"},
		"with many signatures":      {by: ours, change: func(h http.Header) { h[webhookSignature][0] += strings.Repeat(" v1a,QUJD", maxSignatures) }, why: "too many signatures"},
		"with a dot in its id":      {by: ours, change: set(webhookID, "sub.1"), why: "contains a dot"},
		"with a long id":            {by: ours, change: set(webhookID, strings.Repeat("x", maxWebhookID+1)), why: "too long"},
		"at a time with a sign":     {by: ours, change: set(webhookTimestamp, fmt.Sprintf("+%d", now.Unix())), why: "is no time"},
		"at a time with a zero":     {by: ours, change: set(webhookTimestamp, fmt.Sprintf("0%d", now.Unix())), why: "is no time"},
		"at a time in words":        {by: ours, change: set(webhookTimestamp, "now"), why: "is no time"},
		"at a time that overflows":  {by: ours, change: set(webhookTimestamp, "99999999999999999999"), why: "is no time"},
	} {
		t.Run(name, func(t *testing.T) {
			v := fixedVerifier(t, old, ours)
			at, sent := now, body
			if !c.at.IsZero() {
				at = c.at
			}
			h := c.by.headers(fresh(), at, body)
			if c.change != nil {
				c.change(h)
			}
			if c.body != "" {
				sent = strings.Trim(c.body, "\x00")
			}
			err := v.Verify(t.Context(), h, []byte(sent))
			if c.why == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrUnverified)
			require.ErrorContains(t, err, c.why)
			require.NotContains(t, err.Error(), "sub", "nothing that the sender wrote")
		})
	}
}

// Who has recorded a notification can send it again as it is. A repetition of the platform
// has another time.
func TestWhatWasReceivedIsNotReceivedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSigningKey(0)
		v := fixedVerifier(t, k)
		recorded := k.headers("a", time.Now(), "{}")
		require.NoError(t, v.Verify(t.Context(), recorded, []byte("{}")))
		require.ErrorContains(t, v.Verify(t.Context(), recorded, []byte("{}")), "received before")
		time.Sleep(time.Second)
		require.NoError(t, v.Verify(t.Context(), k.headers("a", time.Now(), "{}"), []byte("{}")), "the platform sends it again")
		forged := k.headers("b", time.Now(), "{}")
		require.ErrorIs(t, v.Verify(t.Context(), forged, []byte("{ }")), ErrUnverified)
		require.NoError(t, v.Verify(t.Context(), forged, []byte("{}")), "a forgery does not hold the genuine one back")
	})
}

// However many come meanwhile: what is forgotten for want of room is refused by its time.
func TestAFloodOfNotificationsDoesNotLetOneInAgain(t *testing.T) {
	var r receipts
	require.NoError(t, r.add(receipt{"recorded", 100}))
	for i := range rememberedReceipts - 1 {
		require.NoError(t, r.add(receipt{fmt.Sprint(i), 100}))
	}
	require.NoError(t, r.add(receipt{"late", 90}), "nothing is forgotten yet")
	require.ErrorIs(t, r.add(receipt{"recorded", 100}), ErrUnverified)
	require.ErrorContains(t, r.add(receipt{"another", 100}), "may have been received")
	require.NoError(t, r.add(receipt{"another", 101}), "the platform sends it again, later")
	require.Len(t, r.known, rememberedReceipts)
	require.Len(t, r.oldest, rememberedReceipts)
}

func TestAVerifierFollowsThePlatformsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, after, stranger := newSigningKey(0), newSigningKey(1), newSigningKey(2)
		published, readings := []string{before.public()}, 0
		var fails error
		v := NewVerifier(func(context.Context) ([]string, error) {
			readings++
			return published, fails
		})
		n := 0
		verify := func(k signingKey) error {
			n++
			return v.Verify(t.Context(), k.headers(fmt.Sprint(n), time.Now(), "{}"), []byte("{}"))
		}
		require.Zero(t, readings)
		fails = errors.New("the platform is away")
		require.ErrorIs(t, verify(before), fails, "nobody knows")
		require.ErrorIs(t, verify(before), fails)
		require.Equal(t, 1, readings, "it was asked just now")
		fails = nil
		time.Sleep(keysPause)
		require.NoError(t, verify(before))
		for range 50 {
			require.ErrorIs(t, verify(stranger), ErrUnverified)
		}
		require.Equal(t, 2, readings, "strangers do not have the platform asked at will")
		published = []string{after.public(), before.public()}
		require.ErrorIs(t, verify(after), ErrUnverified, "it is sent again by the platform")
		time.Sleep(keysPause)
		require.NoError(t, verify(after))
		require.NoError(t, verify(before))
		require.Equal(t, 3, readings)
		published = []string{after.public()}
		time.Sleep(keysAge + 1)
		require.ErrorIs(t, verify(before), ErrUnverified, "it was withdrawn")
		require.NoError(t, verify(after))
		require.Equal(t, 4, readings)
		fails = errors.New("the platform is away")
		for range 3 {
			time.Sleep(keysAge + 1)
			require.NoError(t, verify(after), "known keys are kept")
			require.NoError(t, verify(after))
		}
		require.Equal(t, 7, readings)
	})
}

func TestTheKeysAreThoseThatThePlatformPublishes(t *testing.T) {
	k := newSigningKey(0)
	var body atomic.Value
	var asked atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Method + " " + r.URL.Path)
		_, _ = fmt.Fprint(w, body.Load())
	}))
	defer s.Close()
	for prefix, path := range map[string]string{"": mp1.WebhookKeysPath, "/mep": "/mep" + mp1.WebhookKeysPath} {
		c, err := New(Options{BaseURL: s.URL, Prefix: prefix})
		require.NoError(t, err)
		body.Store(`{"keys":["` + k.public() + `"],"more":1}`)
		v := NewVerifier(c.WebhookKeys)
		require.NoError(t, v.Verify(t.Context(), k.headers("a", time.Now(), "{}"), []byte("{}")))
		require.Equal(t, "GET "+path, asked.Load())
		for _, bad := range []string{`{}`, `{"keys":[]}`, `{"keys":["` + strings.TrimPrefix(k.public(), publicKeyPrefix) + `"]}`, `{"keys":["whpk_QUJD"]}`, `{"keys":["whpk_!"]}`, `[]`, `x`,
			`{"keys":[` + strings.TrimSuffix(strings.Repeat(`"`+k.public()+`",`, maxKeys+1), ",") + `]}`} {
			body.Store(bad)
			err = NewVerifier(c.WebhookKeys).Verify(t.Context(), k.headers("a", time.Now(), "{}"), []byte("{}"))
			require.Error(t, err, bad)
			require.NotErrorIs(t, err, ErrUnverified, bad)
		}
	}
	for _, bad := range [][]string{nil, {""}, {"whpk_"}, {"whsk_" + strings.Repeat("A", 43) + "="}, {k.public(), "x"}} {
		_, err := FixedKeys(bad...)
		require.Error(t, err, "%q", bad)
	}
}

func TestOnlyVerifiedNotificationsAreHandedOver(t *testing.T) {
	k := newSigningKey(0)
	calls := 0
	send := func(n *Notifications, h http.Header, body string) int {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header = h
		w := httptest.NewRecorder()
		n.ServeHTTP(w, r)
		return w.Code
	}
	handle := func(context.Context, mp1.Notification) error { calls++; return nil }
	n := NewNotifications(handle, VerifiedBy(fixedVerifier(t, k)))
	now := time.Now()
	genuine := k.headers("a", now, notificationJSON)
	require.Equal(t, 403, send(n, genuine, strings.Replace(notificationJSON, "SUSPENDED", "ACTIVE", 1)))
	require.Equal(t, 403, send(n, http.Header{"Content-Type": {"application/json"}, webhookID: {"a"}}, notificationJSON), "unsigned")
	require.Equal(t, 403, send(n, newSigningKey(1).headers("a", now, notificationJSON), notificationJSON))
	require.Equal(t, 403, send(n, newSigningKey(1).headers("a", now, "{"), "{"), "it is not even parsed")
	require.Equal(t, 400, send(n, k.headers("x", now, "{}"), "{}"), "signed, and no notification")
	require.Zero(t, calls)
	require.Equal(t, 204, send(n, genuine, notificationJSON))
	require.Equal(t, 403, send(n, genuine, notificationJSON), "a replay")
	require.Equal(t, 204, send(n, k.headers("a", now.Add(time.Second), notificationJSON), notificationJSON), "the platform sends it again")
	require.Equal(t, 1, calls, "and it is not handed over again")
	fails := true
	n = NewNotifications(func(context.Context, mp1.Notification) error {
		if fails {
			return errors.New("no room")
		}
		return nil
	}, VerifiedBy(fixedVerifier(t, k)))
	require.Equal(t, 503, send(n, genuine, notificationJSON))
	fails = false
	require.Equal(t, 204, send(n, genuine, notificationJSON), "the platform sends it again in the same second")
	require.Equal(t, 403, send(n, genuine, notificationJSON), "a replay")
	away := NewNotifications(handle, VerifiedBy(NewVerifier(func(context.Context) ([]string, error) { return nil, errors.New("away") })))
	require.Equal(t, 503, send(away, genuine, notificationJSON), "the platform sends it again")
	require.Equal(t, 1, calls)
}

// Any application may name our callback in its subscription, and the platform signs that too.
func TestANotificationOfAnothersSubscriptionIsNotHandedOver(t *testing.T) {
	k := newSigningKey(0)
	calls := 0
	n := NewNotifications(func(context.Context, mp1.Notification) error { calls++; return nil }, VerifiedBy(fixedVerifier(t, k)), OfApplication("ours"))
	count := 0
	for href, want := range map[string]int{
		mp1.Base + "/applications/ours/subscriptions/1":                                                        204,
		"/mep" + mp1.Base + "/applications/ours/subscriptions/1":                                               204,
		"https://mep.example/x" + mp1.Base + "/applications/ours/subscriptions/1":                              204,
		mp1.Base + "/applications/theirs/subscriptions/1":                                                      403,
		mp1.Base + "/applications/ours2/subscriptions/1":                                                       403,
		mp1.Base + "/applications/ours/subscriptions/":                                                         403,
		mp1.Base + "/applications/ours/subscriptions/1/2":                                                      403,
		mp1.Base + "/applications/theirs/subscriptions/1?x=" + mp1.Base + "/applications/ours/subscriptions/1": 403,
		"": 403,
	} {
		count++
		body := strings.Replace(notificationJSON, `"href":"/s"`, `"href":"`+href+`"`, 1)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header = k.headers(fmt.Sprint(count), time.Now(), body)
		w := httptest.NewRecorder()
		n.ServeHTTP(w, r)
		require.Equal(t, want, w.Code, href)
	}
	require.Equal(t, 3, calls)
}

// FuzzSigned: whatever the headers are, they are read as one notification or refused; nobody
// without the key is believed.
func FuzzSigned(f *testing.F) {
	k := newSigningKey(0)
	keys, err := parseKeys([]string{k.public()})
	if err != nil {
		f.Fatal(err)
	}
	genuine := k.sign("a", "1", "{}")
	f.Add("a", "1", genuine, "{}")
	f.Add("a", "1", "v1,QUJD "+genuine, "{}")
	f.Add("a.1", "1", genuine, "")
	f.Add("a", "-1", "v1a,", "{")
	f.Add("", "99999999999999999999", "v1a,!!!! v1a,====", "\x00")
	f.Fuzz(func(t *testing.T, id, timestamp, signature, body string) {
		s, err := readSigned(http.Header{webhookID: {id}, webhookTimestamp: {timestamp}, webhookSignature: {signature}})
		switch {
		case err != nil && !errors.Is(err, ErrUnverified):
			t.Fatal(err)
		case err == nil && (s.id != id || fmt.Sprint(s.at.Unix()) != timestamp || len(s.signatures) == 0 || len(s.signatures) > maxSignatures):
			t.Fatalf("%q %q: %v", id, timestamp, s)
		case err == nil && s.by(keys, []byte(body)) && (id != "a" || timestamp != "1" || body != "{}"):
			t.Fatal("a forgery")
		}
	})
}
