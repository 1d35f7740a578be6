// Package contract holds the OpenAPI document against what is really served, and
// against what ETSI published: every route, parameter, status and body that one side has
// the other has too. It knows the document, the route table and the wire; it must not know
// how the program answers.
//
// It needs nothing but Go and ten seconds, and is part of go test ./... To write the
// generated files anew, or to take the facts from a folder of ETSI's documents:
//
//	go test ./test/contract -update
//	go test ./test/contract -update -etsi FOLDER
package contract

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/openapi"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/test/mep"
)

var update = flag.Bool("update", false, "write the generated files instead of comparing them")

func TestMain(m *testing.M) { os.Exit(mep.Main(m)) }

// document is ours, read and checked by a library that others use.
func document(t *testing.T) *openapi3.T {
	t.Helper()
	d, err := openapi3.NewLoader().LoadFromData(openapi.YAML)
	require.NoError(t, err)
	require.NoError(t, d.Validate(t.Context()))
	return d
}

func TestTheJSONIsTheYAML(t *testing.T) {
	const file = "../../mp1/openapi/openapi.json"
	var v any
	require.NoError(t, yaml.Unmarshal(openapi.YAML, &v))
	want, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	want = append(want, '\n')
	if *update {
		require.NoError(t, os.WriteFile(file, want, 0o644))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "%s is stale; run go generate ./mp1/openapi", file)
}

// operations are "GET /path" of everything that a document describes.
func operations(d *openapi3.T) map[string]*openapi3.Operation {
	out := map[string]*openapi3.Operation{}
	for path, item := range d.Paths.Map() {
		for method, o := range item.Operations() {
			out[method+" "+path] = o
		}
	}
	return out
}

// routes are those of the surface without the alias prefix, by their pattern.
func routes() map[string]server.Route {
	out := map[string]server.Route{}
	for _, r := range server.Routes(nothing{}, everything(nothing{})) {
		if method, path, ok := strings.Cut(r.Pattern, " "); ok && !strings.HasPrefix(path, "/mep/") {
			out[method+" "+path] = r
		}
	}
	return out
}

// others are served by other plugins.
var others = append([]string{"GET " + statePath, "GET " + oneStatePath, "GET " + storePath, "PUT " + drainPath, "DELETE " + drainPath, "GET " + lifePath, "GET " + lifePath + "/{appInstanceId}", "GET " + rulesPath, "PUT " + rulesPath, "GET /health", "GET " + mp1.WebhookKeysPath, "GET " + mp1.EventsPath, "GET " + mp1.ChangesPath, "GET /metrics", "GET /ready"},
	slices.Concat(identityRoutes, edgeGalleryRoutes, boardRoutes)...)

func TestEveryRouteIsDescribedAndNothingElse(t *testing.T) {
	d := document(t)
	require.Equal(t, slices.Sorted(maps.Keys(operations(d))), slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(routes())), others...))))
	for pattern, r := range routes() {
		require.True(t, strings.HasPrefix(r.Name, "mp1."))
		o := operations(d)[pattern]
		if strings.Contains(r.Name, "Liveness") {
			continue // two paths of one resource
		}
		require.Equal(t, strings.ToLower(strings.TrimPrefix(r.Name, "mp1.")), strings.ToLower(o.OperationID), "the name that metrics know")
	}
	require.Equal(t, "/mep", d.Servers[1].URL, "the alias of everything")
}

// served are the query parameters of the two lists that the program reads, sorted.
func served() []string { return slices.Sorted(slices.Values(mp1.QueryParameters())) }

// taking are the other operations that have parameters.
var taking = map[string][]string{"DELETE " + mp1.AppSupportBase + "/registrations/{appInstanceId}": {"graceful"}, "GET " + lifePath: {"after", "limit"},
	"GET " + statePath: {"after", "app", "deliveries", "drained", "id", "late", "limit", "name", "state"}, "GET " + mp1.ChangesPath: {"limit", "since"}}

func TestEveryListTakesTheQueryParametersThatTheProgramReads(t *testing.T) {
	d := document(t)
	for pattern, o := range operations(d) {
		var query []string
		for _, p := range o.Parameters {
			if p.Value.In == "query" {
				query = append(query, p.Value.Name)
				require.False(t, p.Value.Required)
			}
		}
		slices.Sort(query)
		if pattern == "GET "+mp1.EventsPath || pattern == "GET "+mp1.Base+"/services" || pattern == "GET "+mp1.Base+"/applications/{appInstanceId}/services" {
			require.Equal(t, served(), query, "%s: mp1/openapi/openapi.yaml must have the parameters of queryParameters in mp1/filter.go", pattern)
		} else {
			require.Equal(t, taking[pattern], query, pattern)
		}
	}
}

var parameter = regexp.MustCompile("`([a-z_]+)`")

func TestTheDocumentsNameTheQueryParametersThatTheProgramReads(t *testing.T) {
	for file, place := range map[string]string{ // what stands before the names, and behind them
		"../../docs/requests.md":               `(?s)\n\| .GET /services. and [^|]*\|([^|]*)\|`,
		"../../docs/application-developers.md": `(?s)Discovery takes the query parameters of §8\.2\.3:([^.]*)\.`,
	} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		found := regexp.MustCompile(place).FindSubmatch(text)
		require.NotNil(t, found, "%s has no place that names the query parameters of a list (%s)", file, place)
		var names []string
		for _, m := range parameter.FindAllSubmatch(found[1], -1) {
			names = append(names, string(m[1]))
		}
		slices.Sort(names)
		require.Equal(t, served(), names, "%s must name the parameters of queryParameters in mp1/filter.go", file)
	}
}
