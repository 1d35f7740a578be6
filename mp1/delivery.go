package mp1

// How a consumer is told: by POSTs to its callbackReference or, if nothing can be POSTed to
// it, through a WebSocket that it opens (MEC 009 v3.1.1 §6.12a). MEC 011 has neither the test
// notification nor the WebSocket, and no PUT by which §6.12a asks for one: both are asked for
// in the subscription's POST, which is an extension.

// WebsockNotifConfig is about delivery through a WebSocket (TS 29.122 §5.2.1.2.10).
type WebsockNotifConfig struct {
	// WebsocketURI is where the consumer opens the WebSocket, ws or wss; only in an answer.
	WebsocketURI string `json:"websocketUri,omitempty"`
	// RequestWebsocketURI asks for a WebSocket; only in a request.
	RequestWebsocketURI bool `json:"requestWebsocketUri,omitempty"`
}

// WebSocketSegment is the last segment of a WebSocket's path, behind that of its subscription.
const WebSocketSegment = "websocket"

// The codes with which a WebSocket is closed (RFC 6455 §7.4), beside 1001 when the server
// stops, 1008 and 1009 when the consumer sends more than it may. A consumer connects again
// after all but CloseSubscriptionGone, and CloseReplaced if it has another connection.
const (
	CloseNotAcknowledged  = 4408 // no pong came for a notification, which is sent again
	CloseReplaced         = 4409 // a newer connection of the same subscription took its place
	CloseSubscriptionGone = 4410 // the subscription was deleted
)

// TestNotificationType is the notificationType of every TestNotification.
const TestNotificationType = "TestNotification"

// TestNotification tries out whether a consumer can be notified at its callbackReference
// (MEC 009 v3.1.1 §6.12a.3).
type TestNotification struct {
	NotificationType string `json:"notificationType"`
	// Subscription is the link of the subscription once more, where TS 29.122 §5.2.1.2.9 has
	// it, which §6.12a.3 makes mandatory.
	Subscription string            `json:"subscription"`
	Links        NotificationLinks `json:"_links"`
}

// ByWebSocket says whether the consumer is told through a WebSocket.
func (s *Subscription) ByWebSocket() bool {
	return s.WebsockNotifConfig != nil && s.WebsockNotifConfig.RequestWebsocketURI
}

// decodeDelivery reads how the consumer wants to be told. A callbackReference is mandatory
// unless a WebSocket is asked for.
func decodeDelivery(o object, s *Subscription) error {
	config, err := o.nonEmptyObject("websockNotifConfig")
	if err = ignoreAbsent(err); err != nil {
		return err
	}
	if err := config.refuseOtherCase("websocketUri", "requestWebsocketUri"); err != nil {
		return err
	}
	if _, err := config.text("websocketUri", maxURI); ignoreAbsent(err) != nil { // the platform chooses it
		return err
	}
	asked, err := config.boolean("requestWebsocketUri")
	if err != nil {
		return err
	}
	if asked != nil && *asked {
		s.WebsockNotifConfig = &WebsockNotifConfig{RequestWebsocketURI: true}
	}
	if s.CallbackReference, err = o.text("callbackReference", maxURI); ignoreAbsent(err) != nil {
		return err
	}
	if s.CallbackReference != "" || !s.ByWebSocket() {
		if s.CallbackReference, err = o.requiredText("callbackReference", maxURI); err != nil {
			return err
		}
		if err := CheckCallback(s.CallbackReference); err != nil {
			return err
		}
	}
	test, err := o.boolean("requestTestNotification")
	if err != nil {
		return err
	}
	if s.RequestTestNotification = test != nil && *test; s.RequestTestNotification && s.CallbackReference == "" {
		return &Invalid{o.pathTo("requestTestNotification"), "is of no use without a callbackReference, to which the test notification is sent; leave it out"}
	}
	return nil
}
