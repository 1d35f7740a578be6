package server

import "encoding/json"

// ForGateway is the service as a GET below /mep shows it, in JSON: what EdgeGallery's other
// components are given of it. It must not be changed.
func (s *Service) ForGateway() json.RawMessage { return s.represent(mepPrefix).body }
