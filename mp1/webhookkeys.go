package mp1

// WebhookKeysPath is where a platform that signs its notifications publishes its keys. MEC
// 011 has neither.
const WebhookKeysPath = LivenessBase + "/webhook-keys"

// WebhookKeys are the public keys of all who may sign a platform's notifications, in the form
// of Standard Webhooks 1.0.0: whpk_ and the Base64 of an Ed25519 key.
type WebhookKeys struct {
	Keys []string `json:"keys"`
}
