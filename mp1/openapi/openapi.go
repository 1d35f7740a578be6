// Package openapi is the OpenAPI document of everything that mepserver serves, and
// the page that shows it. It must not know the handlers: the document says what they
// must do, and test/contract holds one against the other.
package openapi

import _ "embed"

//go:generate go test ../../test/contract -run TestTheJSONIsTheYAML -update

// YAML is the document as it is written and served.
//
//go:embed openapi.yaml
var YAML []byte

// document is the same for those who have no YAML reader.
//
//go:embed openapi.json
var document []byte
