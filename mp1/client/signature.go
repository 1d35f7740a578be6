package client

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks.
const (
	webhookID        = "Webhook-Id"
	webhookTimestamp = "Webhook-Timestamp"
	webhookSignature = "Webhook-Signature"
)

const (
	publicKeyPrefix = "whpk_"
	signatureScheme = "v1a," // Ed25519
	// Everybody may send signatures, and each is tried with each key: 16 of both cost about
	// ten milliseconds.
	maxSignatures = 16
	maxKeys       = 16
	maxTimestamp  = 12 // digits
	// tolerance is how far a notification's time may be from ours: who has recorded it can
	// send it again only so long.
	tolerance = 5 * time.Minute
)

// ErrUnverified is what [Verifier.Verify] returns of a notification that is not proved to be
// the platform's. Its text says why, without anything that the sender wrote.
var ErrUnverified = errors.New("mp1 client: the notification is not proved to be the platform's")

func unverified(why string) error { return fmt.Errorf("%w: %s", ErrUnverified, why) }

// signed is what a request says of its signatures.
type signed struct {
	id, timestamp string
	at            time.Time
	signatures    [][]byte // of Ed25519, one at least
}

// readSigned reads the headers of a notification (Standard Webhooks 1.0.0, "Webhook
// headers"). Signatures of other schemes are passed over.
func readSigned(h http.Header) (s signed, err error) {
	for _, name := range []string{webhookSignature, webhookID, webhookTimestamp} {
		switch given := h.Values(name); {
		case len(given) == 0 || given[0] == "":
			return s, unverified("it has no " + strings.ToLower(name))
		case len(given) > 1: // another reader might take another one
			return s, unverified("it has more than one " + strings.ToLower(name))
		}
	}
	s.id, s.timestamp = h.Get(webhookID), h.Get(webhookTimestamp)
	switch {
	case len(s.id) > maxWebhookID:
		return s, unverified("its webhook-id is too long")
	case strings.Contains(s.id, "."): // the dot ends it in what is signed
		return s, unverified("its webhook-id contains a dot")
	}
	seconds, err := strconv.ParseInt(s.timestamp, 10, 64)
	if err != nil || len(s.timestamp) > maxTimestamp || strconv.FormatInt(seconds, 10) != s.timestamp {
		return s, unverified("its webhook-timestamp is no time")
	}
	s.at = time.Unix(seconds, 0)
	fields := strings.Fields(h.Get(webhookSignature))
	if len(fields) > maxSignatures {
		return s, unverified("it has too many signatures")
	}
	for _, field := range fields {
		text, ours := strings.CutPrefix(field, signatureScheme)
		if !ours {
			continue
		}
		if signature, err := base64.StdEncoding.DecodeString(text); err == nil && len(signature) == ed25519.SignatureSize {
			s.signatures = append(s.signatures, signature)
		}
	}
	if s.signatures == nil {
		return s, unverified("it has no signature of scheme v1a")
	}
	return s, nil
}

// by says whether one of the keys has made one of the signatures.
func (s signed) by(keys []ed25519.PublicKey, body []byte) bool {
	content := append([]byte(s.id+"."+s.timestamp+"."), body...)
	for _, key := range keys {
		for _, signature := range s.signatures {
			if ed25519.Verify(key, content, signature) {
				return true
			}
		}
	}
	return false
}

// parseKeys reads public keys of the form whpk_BASE64.
func parseKeys(texts []string) ([]ed25519.PublicKey, error) {
	switch {
	case len(texts) == 0:
		return nil, errors.New("mp1 client: there is no webhook key")
	case len(texts) > maxKeys:
		return nil, fmt.Errorf("mp1 client: there are more than %d webhook keys", maxKeys)
	}
	var keys []ed25519.PublicKey
	for _, text := range texts {
		encoded, ok := strings.CutPrefix(text, publicKeyPrefix)
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(key) != ed25519.PublicKeySize {
			return nil, errors.New("mp1 client: a webhook key must be " + publicKeyPrefix + " and the Base64 of 32 bytes")
		}
		keys = append(keys, key)
	}
	return keys, nil
}
