package server

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// webSocketVersion is the version of RFC 6455.
const webSocketVersion = "13"

// The refusals of requests for a WebSocket.
var (
	errNoWebSocket = &problem{status: http.StatusNotFound, detail: "This subscription is told by POSTs to its callbackReference; subscribe anew with websockNotifConfig to be told through a WebSocket."}
	errNoHTTP1     = &problem{status: http.StatusBadRequest, detail: "A WebSocket needs a connection of HTTP/1.1 of its own, for the platform has no extended CONNECT (RFC 8441); connect without offering h2."}
	errNoUpgrade   = &problem{status: http.StatusUpgradeRequired, detail: "This is a WebSocket; ask with Connection: Upgrade and Upgrade: websocket (RFC 6455)."}
	errVersion     = &problem{status: http.StatusUpgradeRequired, detail: "Sec-WebSocket-Version: must be 13 (RFC 6455)."}
	errKey         = &problem{status: http.StatusBadRequest, detail: "Sec-WebSocket-Key: must stand once, and be 16 bytes in Base64 (RFC 6455)."}
)

// checkUpgrade refuses a request that does not open a WebSocket (RFC 6455 §4.2.1).
func checkUpgrade(w http.ResponseWriter, r *http.Request) error {
	switch key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.Header.Get("Sec-WebSocket-Key"))); {
	case r.ProtoMajor > 1:
		return errNoHTTP1
	case !r.ProtoAtLeast(1, 1), !hasToken(r.Header["Connection"], "upgrade"), !hasToken(r.Header["Upgrade"], "websocket"):
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket") // RFC 9110 §15.5.22
		return errNoUpgrade
	case r.Header.Get("Sec-WebSocket-Version") != webSocketVersion:
		w.Header().Set("Sec-WebSocket-Version", webSocketVersion) // RFC 6455 §4.4
		return errVersion
	case err != nil, len(key) != 16, len(r.Header["Sec-Websocket-Key"]) != 1:
		return errKey
	}
	return nil
}

// hasToken says whether a header that is a list has a token, in any case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(one), token) {
				return true
			}
		}
	}
	return false
}
