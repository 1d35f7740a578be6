package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/mec-liveness/mepserver/mp1"
)

// ErrEndSubscription is what the function of [Notifications] returns to end the subscription
// that the notification is of: the platform is answered 410 Gone and sends nothing more of it.
// It is still listed; [Client.Unsubscribe] removes it.
var ErrEndSubscription = errors.New("mp1 client: the subscription has ended")

const (
	maxNotification = 1 << 20 // bytes; our platform sends at most 100 changes at a time
	maxWebhookID    = 256     // bytes of one that can be remembered
	rememberedIDs   = 10000
)

// Notifications is the http.Handler at the CallbackReference of subscriptions, and takes what
// [Client.Receive] brings by a WebSocket. It hands each notification over once: as an
// [mp1.Notification], or with [OnTermination] as an [mp1.TerminationNotification]. A
// TestNotification, by which a platform tries the callback of a subscription, is taken and handed over to nobody.
//
// A platform sends a notification until it is told that it was taken, so the same one may
// come again, or while it is still being handled. It has the same webhook-id then, and is
// answered without being handed over again. An id counts once the function has returned nil:
// what it failed for, and what it was handling when the program ended, comes again. The last
// 10,000 ids are remembered, in memory only. A notification without an id, as of other
// platforms, is handed over each time.
//
// The platform is told nothing of an error but that it shall try again (503), or that the
// subscription has ended ([ErrEndSubscription]). What is no notification is refused.
//
// Whoever can reach the callback can send it notifications, unless they are verified by
// [VerifiedBy]: then what the platform has not signed is refused (403), or answered 503 while
// its keys cannot be had. MEC 011 has no signature; our platform adds one. For others, a path that
// cannot be guessed, https, and asking the platform before acting on a change help.
type Notifications struct {
	handle     func(context.Context, mp1.Notification) error
	terminated func(context.Context, mp1.TerminationNotification) error
	verifier   *Verifier // nil: everybody is believed
	app        string    // whose subscriptions count; "": anybody's

	mu      sync.Mutex
	running map[string]chan struct{} // being handled; closed when that ends
	handled map[string]bool
	oldest  []string // the handled ones as a ring, next is overwritten
	next    int
}

// NewNotifications returns a handler that hands notifications of changes of services over to a
// function; nil refuses them. The function is
// called by several goroutines if there are several subscriptions; our platform sends the
// notifications of one subscription one after the other, in order. The context ends with
// the request: when the platform waits no longer, it will send the notification again.
func NewNotifications(handle func(context.Context, mp1.Notification) error, options ...NotificationsOption) *Notifications {
	n := &Notifications{handle: handle, running: map[string]chan struct{}{}, handled: map[string]bool{}}
	for _, option := range options {
		option(n)
	}
	return n
}

// NotificationsOption is an option of [NewNotifications].
type NotificationsOption func(*Notifications)

// OnTermination has notifications of the termination of an application handed over to a
// function, as those of changes of services are to that of [NewNotifications]. Without it they
// are refused. When it returns nil the platform has been told only that the notification has come:
// [Client.ConfirmTermination] says that the application may be terminated.
func OnTermination(f func(context.Context, mp1.TerminationNotification) error) NotificationsOption {
	return func(n *Notifications) { n.terminated = f }
}

// VerifiedBy has only those notifications handed over that the verifier accepts. What comes by
// a WebSocket is not signed: the platform at the other end has proved who it is.
func VerifiedBy(v *Verifier) NotificationsOption { return func(n *Notifications) { n.verifier = v } }

// OfApplication has only those notifications handed over that are of a subscription of the
// application instance; others are refused (403). Any application may name our callback in
// its subscription, and the platform then signs what it sends here.
func OfApplication(app string) NotificationsOption { return func(n *Notifications) { n.app = app } }

// ofApplication says whether the href is that of a subscription of the application.
func ofApplication(href, app string) bool {
	u, err := parseHref(href)
	if err != nil {
		return false
	}
	for _, base := range []string{mp1.Base, mp1.AppSupportBase} {
		if _, id, ok := strings.Cut(u.Path, base+"/applications/"+app+"/subscriptions/"); ok {
			return id != "" && !strings.Contains(id, "/")
		}
	}
	return false
}

// ServeHTTP implements http.Handler.
func (n *Notifications) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handOver, status := n.read(w, r)
	if status == 0 {
		switch err := n.take(r.Context(), r.Header.Get(webhookID), handOver); {
		case err == nil:
			status = http.StatusNoContent
		case errors.Is(err, ErrEndSubscription):
			status = http.StatusGone
		default:
			status = http.StatusServiceUnavailable
		}
		if n.verifier != nil && status == http.StatusServiceUnavailable {
			n.verifier.takeBack(r.Header)
		}
	}
	w.WriteHeader(status)
}

// read reads a request. status is 0, or with what it is refused. What was not verified is not
// parsed.
func (n *Notifications) read(w http.ResponseWriter, r *http.Request) (handOver func(context.Context) error, status int) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, http.StatusMethodNotAllowed
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, http.StatusUnsupportedMediaType
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNotification))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, http.StatusRequestEntityTooLarge
	case err != nil, len(r.Header.Get(webhookID)) > maxWebhookID:
		return nil, http.StatusBadRequest
	}
	if status := n.verify(r, data); status != 0 {
		return nil, status
	}
	return n.parse(data)
}

// parse reads a notification and returns what hands it over. status is 0, or with what the
// notification is refused.
func (n *Notifications) parse(data []byte) (handOver func(context.Context) error, status int) {
	var head struct {
		NotificationType string                `json:"notificationType"`
		Links            mp1.NotificationLinks `json:"_links"`
	}
	if json.Unmarshal(data, &head) != nil {
		return nil, http.StatusBadRequest
	}
	switch kind := head.NotificationType; {
	case kind == mp1.NotificationType && n.handle != nil:
		var changes mp1.Notification
		if json.Unmarshal(data, &changes) != nil {
			return nil, http.StatusBadRequest
		}
		handOver = func(ctx context.Context) error { return n.handle(ctx, changes) }
	case kind == mp1.TerminationNotificationType && n.terminated != nil:
		var termination mp1.TerminationNotification
		if json.Unmarshal(data, &termination) != nil {
			return nil, http.StatusBadRequest
		}
		handOver = func(ctx context.Context) error { return n.terminated(ctx, termination) }
	case kind == mp1.TestNotificationType:
		handOver = func(context.Context) error { return nil }
	default:
		return nil, http.StatusBadRequest
	}
	if n.app != "" && !ofApplication(head.Links.Subscription.Href, n.app) {
		return nil, http.StatusForbidden
	}
	return handOver, 0
}

func (n *Notifications) verify(r *http.Request, body []byte) (status int) {
	if n.verifier == nil {
		return 0
	}
	switch err := n.verifier.Verify(r.Context(), r.Header, body); {
	case errors.Is(err, ErrUnverified):
		return http.StatusForbidden
	case err != nil:
		return http.StatusServiceUnavailable
	}
	return 0
}

// take hands a notification over unless that was done. Its error is that of the function, or
// that another one was still at it when ctx ended.
func (n *Notifications) take(ctx context.Context, id string, handOver func(context.Context) error) error {
	for id != "" {
		first, other := n.begin(id)
		if first {
			break
		}
		if other == nil {
			return nil
		}
		select {
		case <-other: // it may have failed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	taken := false
	if id != "" {
		defer func() { n.end(id, taken) }() // also when the function panics
	}
	err := handOver(context.WithValue(ctx, webhookIDKey{}, id))
	taken = err == nil
	return err
}

// webhookIDKey is the key of WebhookID in a context.
type webhookIDKey struct{}

// WebhookID is the id of the notification whose function has been given the context; "" if it has
// none. It is the same each time the notification is sent, and what a sender writes.
func WebhookID(ctx context.Context) string {
	id, _ := ctx.Value(webhookIDKey{}).(string)
	return id
}

// begin reports whether the caller is the one to hand the notification over. If not, another
// does, until other is closed, or nobody, because it was handled: then other is nil.
func (n *Notifications) begin(id string) (first bool, other <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.handled[id] {
		return false, nil
	}
	if ended, ok := n.running[id]; ok {
		return false, ended
	}
	n.running[id] = make(chan struct{})
	return true, nil
}

// end wakes those who wait, and remembers the id if the notification was taken.
func (n *Notifications) end(id string, taken bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.running[id])
	delete(n.running, id)
	if !taken {
		return
	}
	n.handled[id] = true
	if len(n.oldest) < rememberedIDs {
		n.oldest = append(n.oldest, id)
		return
	}
	delete(n.handled, n.oldest[n.next])
	n.oldest[n.next] = id
	n.next = (n.next + 1) % rememberedIDs
}
