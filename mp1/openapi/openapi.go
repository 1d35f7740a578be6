// Package openapi has the OpenAPI document of everything that mepserver serves, and the page
// that shows it. It must not know the handlers: the document says what they must do, and
// test/contract tests each against the other.
package openapi

import _ "embed"

//go:generate go test ../../test/contract -run TestTheJSONIsTheYAML -update

// YAML is the document as it is served. It is the one that is edited.
//
//go:embed openapi.yaml
var YAML []byte

// jsonText is the same document, made from YAML: the standard library cannot read that.
//
//go:embed openapi.json
var jsonText []byte
