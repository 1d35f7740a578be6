package mp1

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

const anySubscription = `{"subscriptionType":"SerAvailabilityNotificationSubscription",`

// How a consumer wants to be told is read as MEC 009 §6.12a.3 has it: a callback, a WebSocket,
// or both; and what clients of other MEC APIs send without meaning either.
func TestHowAConsumerWantsToBeTold(t *testing.T) {
	for body, want := range map[string]Subscription{
		`"callbackReference":"http://c/"}`:                                                                                                   {CallbackReference: "http://c/"},
		`"callbackReference":"http://c/","requestTestNotification":true}`:                                                                    {CallbackReference: "http://c/", RequestTestNotification: true},
		`"callbackReference":"http://c/","requestTestNotification":false,"websockNotifConfig":{"requestWebsocketUri":false}}`:                {CallbackReference: "http://c/"},
		`"callbackReference":"http://c/","websockNotifConfig":{"websocketUri":"","requestWebsocketUri":false}}`:                              {CallbackReference: "http://c/"},
		`"callbackReference":"http://c/","websockNotifConfig":{}}`:                                                                           {CallbackReference: "http://c/"},
		`"callbackReference":"http://c/","websockNotifConfig":null,"requestTestNotification":null}`:                                          {CallbackReference: "http://c/"},
		`"websockNotifConfig":{"requestWebsocketUri":true}}`:                                                                                 {WebsockNotifConfig: &WebsockNotifConfig{RequestWebsocketURI: true}},
		`"callbackReference":"","websockNotifConfig":{"requestWebsocketUri":true,"websocketUri":"websocketUri"}}`:                            {WebsockNotifConfig: &WebsockNotifConfig{RequestWebsocketURI: true}},
		`"callbackReference":"http://c/","requestTestNotification":true,"websockNotifConfig":{"requestWebsocketUri":true,"more":{"a":[1]}}}`: {CallbackReference: "http://c/", RequestTestNotification: true, WebsockNotifConfig: &WebsockNotifConfig{RequestWebsocketURI: true}},
	} {
		got, err := DecodeSubscription([]byte(anySubscription + body))
		require.NoError(t, err, body)
		want.SubscriptionType = SubscriptionType
		require.Equal(t, want, got, body)
	}
}

func TestWhatSaysNotHowAConsumerIsToldIsRefused(t *testing.T) {
	for body, attribute := range map[string]string{
		`"filteringCriteria":{}}`:                                                                     "callbackReference",
		`"websockNotifConfig":{"requestWebsocketUri":false}}`:                                         "callbackReference",
		`"websockNotifConfig":{}}`:                                                                    "callbackReference",
		`"callbackReference":""}`:                                                                     "callbackReference",
		`"callbackReference":7,"websockNotifConfig":{"requestWebsocketUri":true}}`:                    "callbackReference",
		`"callbackReference":"ftp://c/","websockNotifConfig":{"requestWebsocketUri":true}}`:           "callbackReference",
		`"requestTestNotification":true,"websockNotifConfig":{"requestWebsocketUri":true}}`:           "requestTestNotification",
		`"callbackReference":"http://c/","requestTestNotification":"true"}`:                           "requestTestNotification",
		`"callbackReference":"http://c/","RequestTestNotification":true}`:                             "requestTestNotification",
		`"callbackReference":"http://c/","requestTestNotification":1}`:                                "requestTestNotification",
		`"callbackReference":"http://c/","websockNotifConfig":true}`:                                  "websockNotifConfig",
		`"callbackReference":"http://c/","WebsockNotifConfig":{"requestWebsocketUri":true}}`:          "websockNotifConfig",
		`"callbackReference":"http://c/","websockNotifConfig":{"requestWebsocketUri":"yes"}}`:         "websockNotifConfig.requestWebsocketUri",
		`"callbackReference":"http://c/","websockNotifConfig":{"requestWebSocketUri":true}}`:          "websockNotifConfig.requestWebsocketUri",
		`"callbackReference":"http://c/","websockNotifConfig":{"websocketUri":5}}`:                    "websockNotifConfig.websocketUri",
		`"callbackReference":"http://c/","websockNotifConfig":{"serNames":["a"],"websocketUri":"a"}}`: "",
	} {
		_, err := DecodeSubscription([]byte(anySubscription + body))
		var bad *Invalid
		if attribute == "" {
			require.NoError(t, err, body)
			continue
		}
		require.ErrorAs(t, err, &bad, body)
		require.Equal(t, attribute, bad.Attribute, body)
	}
}

// The test notification has the attribute of TS 29.122 §5.2.1.2.9, and what notifications of
// MEC 011 have.
func TestATestNotificationHasTheAttributesOfBothStandards(t *testing.T) {
	n := TestNotification{NotificationType: TestNotificationType, Subscription: "/s"}
	n.Links.Subscription.Href = "/s"
	body, err := json.Marshal(n)
	require.NoError(t, err)
	require.JSONEq(t, `{"notificationType":"TestNotification","subscription":"/s","_links":{"subscription":{"href":"/s"}}}`, string(body))
}
