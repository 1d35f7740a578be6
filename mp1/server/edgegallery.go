package server

import (
	"encoding/json"
	"net/http"
)

// ForGateway is the service as a GET below /mep shows it, in JSON: what EdgeGallery's other
// components are given of it. It must not be changed.
func (s *Service) ForGateway() json.RawMessage { return s.represent(mepPrefix).body }

// WriteForGateway is WriteJSON for EdgeGallery's other components, which are told the charset as
// its own server does.
func WriteForGateway(w http.ResponseWriter, status int, v any) {
	writeAs(w, edgeGalleryJSONType, status, encodeJSON(v))
}
