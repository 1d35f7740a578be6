package openapi

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
)

//go:embed page.html
var pageTemplate string

//go:embed page.css
var pageStyle string

// Page returns the document as HTML, and the Content-Security-Policy to serve it with, which
// forbids to load anything from elsewhere and to run anything.
func Page() (html []byte, policy string, err error) {
	var d openAPI
	if err := json.Unmarshal(jsonText, &d); err != nil {
		return nil, "", fmt.Errorf("openapi: %w", err)
	}
	t, err := template.New("page").Parse(pageTemplate)
	if err != nil {
		return nil, "", fmt.Errorf("openapi: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, newPageData(&d)); err != nil {
		return nil, "", fmt.Errorf("openapi: %w", err)
	}
	sum := sha256.Sum256([]byte(pageStyle))
	policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return out.Bytes(), policy, nil
}

// openAPI is the part of the document that the page shows.
type openAPI struct {
	Info struct{ Title, Version, Description string }
	Tags []struct{ Name, Description string }

	Paths      map[string]map[string]json.RawMessage
	Components struct {
		Parameters map[string]parameter
		Responses  map[string]response
		Schemas    map[string]schema
	}
}

type parameter struct {
	Ref                   string `json:"$ref"`
	Name, In, Description string
	Required              bool
	Schema                schema
}

type response struct {
	Ref         string `json:"$ref"`
	Description string
	Headers     map[string]any
	Content     map[string]struct{ Schema schema }
}

type schema struct {
	Ref               string `json:"$ref"`
	Type, Description string
	Enum              []string
	Items             *schema
	AllOf             []schema
	Required          []string
	Properties        map[string]schema
}

type operation struct {
	Summary, Description string
	Tags                 []string
	Parameters           []parameter
	RequestBody          *response
	Responses            map[string]response
}

// parameter resolves a reference to a parameter.
func (d *openAPI) parameter(p parameter) parameter {
	if p.Ref != "" {
		return d.Components.Parameters[refName(p.Ref)]
	}
	return p
}

// response resolves a reference to a response.
func (d *openAPI) response(r response) response {
	if r.Ref != "" {
		return d.Components.Responses[refName(r.Ref)]
	}
	return r
}

// refName is the last part of a reference.
func refName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// kind is a type in words, and the schema that the words name, or "".
func (s *schema) kind() (text, of string) {
	switch {
	case s.Ref != "":
		return refName(s.Ref), refName(s.Ref)
	case len(s.AllOf) > 0:
		return s.AllOf[0].kind()
	case s.Items != nil:
		text, of = s.Items.kind()
		return "array of " + text, of
	case len(s.Enum) > 0:
		return strings.Join(s.Enum, " | "), ""
	default:
		return cmp.Or(s.Type, "any"), ""
	}
}

// What the template shows.
type (
	tableRow struct {
		Name, Note, Kind, Of, Text string
	}
	operationData struct {
		ID, Method, Path, Summary, Text string
		Body                            tableRow
		Parameters, Responses           []tableRow
	}
	groupData struct {
		Name, Text string
		Operations []operationData
	}
	schemaData struct {
		Name, Kind, Text string
		Members          []tableRow
	}
	pageData struct {
		Title, Version, Text string
		Style                template.CSS
		Groups               []groupData
		Schemas              []schemaData
	}
)

// methods are the HTTP methods in the order in which the page has them.
var methods = []string{"get", "post", "put", "patch", "delete"}

func newPageData(d *openAPI) pageData {
	out := pageData{Title: d.Info.Title, Version: d.Info.Version, Text: d.Info.Description, Style: template.CSS(pageStyle)} //nolint:gosec // our own file
	for _, tag := range d.Tags {
		g := groupData{Name: tag.Name, Text: tag.Description}
		for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
			for _, method := range methods {
				var o operation
				if raw, ok := d.Paths[path][method]; ok && json.Unmarshal(raw, &o) == nil && slices.Contains(o.Tags, tag.Name) {
					g.Operations = append(g.Operations, d.operation(path, method, &o))
				}
			}
		}
		out.Groups = append(out.Groups, g)
	}
	for _, n := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		s := d.Components.Schemas[n]
		one := schemaData{Name: n, Text: s.Description}
		one.Kind, _ = s.kind()
		for _, member := range slices.Sorted(maps.Keys(s.Properties)) {
			m := s.Properties[member]
			l := tableRow{Name: member, Text: m.Description}
			l.Kind, l.Of = m.kind()
			if slices.Contains(s.Required, member) {
				l.Note = "mandatory"
			}
			one.Members = append(one.Members, l)
		}
		out.Schemas = append(out.Schemas, one)
	}
	return out
}

func (d *openAPI) operation(path, method string, o *operation) operationData {
	out := operationData{ID: method + path, Method: strings.ToUpper(method), Path: path, Summary: o.Summary, Text: o.Description}
	var ofPath []parameter
	_ = json.Unmarshal(d.Paths[path]["parameters"], &ofPath) // a path without parameters
	for _, p := range append(ofPath, o.Parameters...) {
		p = d.parameter(p)
		l := tableRow{Name: p.Name, Note: p.In, Text: p.Description}
		l.Kind, l.Of = p.Schema.kind()
		out.Parameters = append(out.Parameters, l)
	}
	if o.RequestBody != nil {
		out.Body = responseRow("", *o.RequestBody)
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		out.Responses = append(out.Responses, responseRow(status, d.response(o.Responses[status])))
	}
	return out
}

func responseRow(status string, r response) tableRow {
	l := tableRow{Name: status, Text: r.Description, Note: strings.Join(slices.Sorted(maps.Keys(r.Headers)), ", ")}
	for _, c := range r.Content {
		l.Kind, l.Of = c.Schema.kind()
	}
	return l
}
