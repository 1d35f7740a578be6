package contract

import (
	"cmp"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/mec-liveness/mepserver/mp1"
)

// The facts are what ETSI's documents declare, without their texts: names, types and
// statuses. They are taken from the published OpenAPI of MEC 011 v3.1.1
// (MecServiceMgmtApi and MecAppSupportApi, forge.etsi.org, BSD-3-Clause) by
//
//	go test ./test/contract -run TestTheDocumentAgreesWithETSI -etsi DIR
//
// where DIR holds the two files.
var etsi = flag.String("etsi", "", "folder of the published documents, to take the facts from anew")

const factsFile = "testdata/etsi-mec011-v3.1.1.json"

type facts struct {
	Operations map[string]factsOfOperation // "GET /path"
	Schemas    map[string]factsOfSchema
}

type factsOfOperation struct {
	Query     map[string]string // name: type
	Body      string            `json:",omitempty"`
	Responses map[string]string // status: type
}

type factsOfSchema struct {
	Required, Enum []string          `json:",omitempty"`
	Properties     map[string]string `json:",omitempty"`
}

var apis = map[string]string{"mec011-v3.1.1-MecServiceMgmtApi.yaml": mp1.Base, "mec011-v3.1.1-MecAppSupportApi.yaml": mp1.AppSupportBase}

// take reads the facts out of ETSI's documents.
func take(t *testing.T, dir string) facts {
	t.Helper()
	out := facts{map[string]factsOfOperation{}, map[string]factsOfSchema{}}
	for _, file := range slices.Sorted(maps.Keys(apis)) { // where both define a type, service management's counts
		base := apis[file]
		b, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		var d map[string]any
		require.NoError(t, yaml.Unmarshal(b, &d))
		parameters := at(d, "components", "parameters")
		for path, item := range at(d, "paths") {
			for method, o := range at(item) {
				one := factsOfOperation{Query: map[string]string{}, Responses: map[string]string{}}
				list, _ := at(o)["parameters"].([]any)
				for _, p := range list {
					p := at(p)
					if ref, ok := p["$ref"].(string); ok {
						p = at(parameters[last(ref)])
					}
					if p["in"] == "query" {
						one.Query[p["name"].(string)] = kind(at(p, "schema"))
					}
				}
				one.Body = kind(unwrapped(at(o, "requestBody", "content", "application/json", "schema")))
				for status, r := range at(o, "responses") {
					one.Responses[status] = kind(unwrapped(at(r, "content", "application/json", "schema")))
				}
				out.Operations[strings.ToUpper(method)+" "+base+path] = one
			}
		}
		for name, s := range at(d, "components", "schemas") {
			one := factsOfSchema{Required: texts(at(s)["required"]), Enum: texts(at(s)["enum"]), Properties: map[string]string{}}
			for member, m := range at(s, "properties") {
				one.Properties[member] = kind(at(m))
			}
			out.Schemas[name] = one
		}
	}
	return out
}

func at(v any, path ...string) map[string]any {
	m, _ := v.(map[string]any)
	for _, p := range path {
		m, _ = m[p].(map[string]any)
	}
	return m
}

func texts(v any) (out []string) {
	l, _ := v.([]any)
	for _, s := range l {
		out = append(out, s.(string))
	}
	slices.Sort(out)
	return out
}

func last(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// unwrapped takes an object out of the member named after its type, which is how the
// documents' generator writes every body, and nobody's real bodies look.
func unwrapped(s map[string]any) map[string]any {
	members := at(s, "properties")
	if len(members) == 1 {
		for name, m := range members {
			if ref, _ := at(m)["$ref"].(string); last("/"+ref) == name {
				return at(m)
			}
		}
	}
	return s
}

// kind is a schema in one word.
func kind(s map[string]any) string {
	switch {
	case s == nil:
		return ""
	case s["$ref"] != nil:
		return last(s["$ref"].(string))
	case s["type"] == "array":
		return "[]" + kind(at(s, "items"))
	case s["type"] == nil:
		return "any"
	default:
		return s["type"].(string)
	}
}

// names that differ, ETSI's first: theirs are made up by a generator.
var renamed = map[string]string{"_links1": "ServiceLinks", "Addresses": "Address", "Subscriptions": "SubscriptionLink", "ServiceReferences": "ServiceReference",
	"NtpServers": "NtpServer", "PtpMasters": "PtpMaster"}

// listsOfOne are types each member of which their generator made a list, though its text says
// that there is one. v2.1.1 and the conformance suites have it as we do.
var listsOfOne = []string{"NtpServers", "PtpMasters"}

// inline are objects that our document describes where they are used.
var inline = []string{"_links", "_links2", "_links3"}

// beyond are schemas that no body of ours needs.
var beyond = []string{"Not_specified", "SerInstanceId", "SerName", "TransportDescriptor", "TransportTypes", "AppProfile", "TransportDependency", "Uint32"}

// differences are where the document says another thing than ETSI's, with the reason.
// One that is none any more is an error.
var differences = map[string]string{
	"ServiceInfo needs _links":                                             "the same type is the request, where it must be absent",
	"OAuth2Info needs grantTypes":                                          "EdgeGallery's agents send null",
	"TransportInfo needs security":                                         "EdgeGallery's agents, AdvantEDGE and the MEC Sandbox's client leave it out; answers have it",
	"ServiceLivenessUpdate needs state":                                    "the wrapped form of the feature request has it one level deeper",
	"AppTerminationNotificationSubscription._links":                        "each of their documents has another type by that name",
	"TimingCaps.timeStamp":                                                 "one, as v2.1.1 and the conformance suites have it; their generator made it a list",
	"OAuth2Info.grantTypes":                                                "up to four of them, as v2.1.1 and their own examples have it",
	"ServiceLinks.self":                                                    "a LinkType with a member more, which EdgeGallery's agents read",
	"ServiceLivenessUpdate.state":                                          "shall be ACTIVE, says their text",
	"ServiceLivenessInfo adds reason":                                      "an extension: why it is in its state, for people (ADR 0055)",
	"SecurityInfo has (extensions)":                                        "a name for all others, not a member",
	"SubscriptionLink adds rel":                                            "the member's name in v2.1.1",
	"ServiceLivenessUpdate adds itself":                                    "the wrapped form of the feature request",
	"GET /mec_service_mgmt/v1/services 403":                                "discovery is for everybody",
	"GET /mec_service_mgmt/v1/services 404":                                "nothing found is an empty list",
	"GET /mec_service_mgmt/v1/transports 403":                              "for everybody",
	"GET /mec_service_mgmt/v1/transports 404":                              "it always exists",
	"SerAvailabilityNotificationSubscription needs callbackReference":      "an extension after MEC 009 §6.12a: not if a WebSocket is asked for",
	"SerAvailabilityNotificationSubscription adds requestTestNotification": "an extension after MEC 009 §6.12a",
	"SerAvailabilityNotificationSubscription adds websockNotifConfig":      "an extension after MEC 009 §6.12a",
	"AppTerminationNotificationSubscription needs callbackReference":       "an extension after MEC 009 §6.12a: not if a WebSocket is asked for",
	"AppTerminationNotificationSubscription adds requestTestNotification":  "an extension after MEC 009 §6.12a",
	"AppTerminationNotificationSubscription adds websockNotifConfig":       "an extension after MEC 009 §6.12a",
	"TrafficRule.dstInterface":                                             "two of them where the action has two, as their text says",
	"TrafficFilter adds token":                                             "the name of tag in v2.1.1, which the conformance suites send",

	"GET /mec_service_mgmt/v1/services/{serviceId} 403":                                           "what is offered, everybody may read",
	"GET /mec_service_mgmt/v1/applications/{appInstanceId}/services 403":                          "without identities the path's application is the caller",
	"GET /mec_service_mgmt/v1/applications/{appInstanceId}/subscriptions 403":                     "without identities the path's application is the caller",
	"GET /mec_service_mgmt/v1/applications/{appInstanceId}/subscriptions/{subscriptionId} 403":    "a foreign subscription is a 404: they are private",
	"DELETE /mec_service_mgmt/v1/applications/{appInstanceId}/subscriptions/{subscriptionId} 403": "a foreign subscription is a 404: they are private",
	"GET /mec_app_support/v1/applications/{appInstanceId}/subscriptions 403":                      "without identities the path's application is the caller",
	"GET /mec_app_support/v1/applications/{appInstanceId}/subscriptions/{subscriptionId} 403":     "a foreign subscription is a 404: they are private",
	"DELETE /mec_app_support/v1/applications/{appInstanceId}/subscriptions/{subscriptionId} 403":  "a foreign subscription is a 404: they are private",
	"POST /mec_app_support/v1/applications/{appInstanceId}/confirm_ready 401":                     "every operation has it where callers have identities",
	"POST /mec_app_support/v1/applications/{appInstanceId}/confirm_ready adds 204":                "lost by their generator: v2.1.1 has it",
	"POST /mec_app_support/v1/applications/{appInstanceId}/confirm_termination 401":               "every operation has it where callers have identities",
	"POST /mec_app_support/v1/applications/{appInstanceId}/confirm_termination 403":               "without identities the path's application is the caller",
	"POST /mec_app_support/v1/applications/{appInstanceId}/confirm_termination adds 204":          "lost by their generator: v2.1.1 has it",
	"DELETE /mec_app_support/v1/registrations/{appInstanceId} adds graceful":                      "MEC 011 leaves open how a termination begins (ADR 0046)",
	"DELETE /mec_app_support/v1/registrations/{appInstanceId} adds 202":                           "the same",
	"POST /mec_app_support/v1/registrations 401":                                                  "every operation has it where callers have identities",
	"POST /mec_app_support/v1/registrations 404":                                                  "it always exists",
	"GET /mec_app_support/v1/registrations/{appInstanceId} 403":                                   "without identities the path's application is the caller",
	"GET /mec_app_support/v1/applications/{appInstanceId}/dns_rules 403":                          "without identities the path's application is the caller",
	"GET /mec_app_support/v1/applications/{appInstanceId}/dns_rules/{dnsRuleId} 403":              "without identities the path's application is the caller",
	"PUT /mec_app_support/v1/applications/{appInstanceId}/dns_rules/{dnsRuleId} 403":              "without identities the path's application is the caller",
	"GET /mec_app_support/v1/applications/{appInstanceId}/traffic_rules 403":                      "without identities the path's application is the caller",
	"GET /mec_app_support/v1/applications/{appInstanceId}/traffic_rules/{trafficRuleId} 403":      "without identities the path's application is the caller",
	"PUT /mec_app_support/v1/applications/{appInstanceId}/traffic_rules/{trafficRuleId} 403":      "without identities the path's application is the caller",
	"GET /mec_app_support/v1/timing/current_time 403":                                             "for everybody",
	"GET /mec_app_support/v1/timing/current_time 404":                                             "it always exists",
	"GET /mec_app_support/v1/timing/timing_caps 403":                                              "for everybody",
	"GET /mec_app_support/v1/timing/timing_caps 404":                                              "it always exists",
	"PUT /mec_app_support/v1/registrations/{appInstanceId} 401":                                   "every operation has it where callers have identities",
	"PUT /mec_app_support/v1/registrations/{appInstanceId} 403":                                   "without identities the path's application is the caller",
	"DELETE /mec_app_support/v1/registrations/{appInstanceId} 401":                                "every operation has it where callers have identities",
	"DELETE /mec_app_support/v1/registrations/{appInstanceId} 403":                                "without identities the path's application is the caller",
}

// generic are statuses that MEC 009 has for every resource, or HTTP itself.
var generic = []string{"400", "409", "412", "413", "414", "415", "429", "503", "507"}

const placeholder = mp1.Base + "/resource_uri_allocated_by_MEC_platform"

func TestTheDocumentAgreesWithETSI(t *testing.T) {
	if *etsi != "" {
		b, err := json.MarshalIndent(take(t, *etsi), "", " ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(factsFile, append(b, '\n'), 0o644))
	}
	b, err := os.ReadFile(factsFile)
	require.NoError(t, err)
	var published facts
	require.NoError(t, json.Unmarshal(b, &published))
	c := &comparison{t: t, doc: document(t), ours: operations(document(t)), used: map[string]bool{}}
	compared := 0
	for _, what := range slices.Sorted(maps.Keys(published.Operations)) {
		theirs := published.Operations[what]
		c.operation(strings.Replace(what, placeholder, mp1.Base+"/applications/{appInstanceId}/services/{serviceId}/liveness", 1), &theirs)
		compared++
	}
	schemas := 0
	for _, name := range slices.Sorted(maps.Keys(published.Schemas)) {
		if theirs := published.Schemas[name]; !slices.Contains(inline, name) && !slices.Contains(beyond, name) {
			for member, kind := range theirs.Properties {
				if slices.Contains(listsOfOne, name) {
					theirs.Properties[member] = strings.TrimPrefix(kind, "[]")
				}
			}
			c.schema(cmp.Or(renamed[name], name), &theirs)
			schemas++
		}
	}
	for d := range differences {
		require.True(t, c.used[d], "this difference is none any more: %s", d)
	}
	t.Logf("%d operations and %d schemas compared, %d differences with their reasons", compared, schemas, len(differences))
}

type comparison struct {
	t    *testing.T
	doc  *openapi3.T
	ours map[string]*openapi3.Operation
	used map[string]bool
}

// differs says whether a difference has a reason.
func (c *comparison) differs(what string) bool {
	_, ok := differences[what]
	c.used[what] = ok
	return ok
}

func (c *comparison) operation(what string, theirs *factsOfOperation) {
	c.t.Helper()
	ours := c.ours[what]
	require.NotNil(c.t, ours, "not described: %s", what)
	query := map[string]string{}
	for _, p := range ours.Parameters {
		if p.Value.In == "query" {
			query[p.Value.Name] = kindOf(p.Value.Schema)
		}
	}
	for name, theirKind := range theirs.Query {
		require.Equal(c.t, theirKind, query[name], "%s: ETSI has the parameter %s", what, name)
	}
	for name := range query {
		_, there := theirs.Query[name]
		adds := what + " adds " + name
		require.True(c.t, there || c.differs(adds), "%s: ETSI v3.1.1 does not have the parameter %s. If it is to be ours, decide so in an ADR, and give the reason under %q in differences (test/contract/etsi_test.go)", what, name, adds)
	}
	body := ""
	if ours.RequestBody != nil {
		body = kindOf(ours.RequestBody.Value.Content.Get("application/json").Schema)
	}
	require.Equal(c.t, theirs.Body, body, what)
	for status, content := range theirs.Responses {
		r := ours.Responses.Value(status)
		switch {
		case r == nil:
			require.True(c.t, c.differs(what+" "+status), "%s: ETSI has status %s", what, status)
		case status < "300" && status != "204":
			require.Equal(c.t, content, kindOf(r.Value.Content.Get("application/json").Schema), "%s %s", what, status)
		}
	}
	for status := range ours.Responses.Map() {
		_, there := theirs.Responses[status]
		require.True(c.t, there || slices.Contains(generic, status) || c.differs(what+" adds "+status), "%s: only we have status %s", what, status)
	}
}

func (c *comparison) schema(name string, theirs *factsOfSchema) {
	c.t.Helper()
	ref := c.doc.Components.Schemas[name]
	require.NotNil(c.t, ref, "not described: %s", name)
	ours := ref.Value
	enum := make([]string, 0, len(ours.Enum))
	for _, v := range ours.Enum {
		enum = append(enum, v.(string))
	}
	slices.Sort(enum)
	require.ElementsMatch(c.t, theirs.Enum, enum, name)
	for _, member := range theirs.Required {
		require.True(c.t, slices.Contains(ours.Required, member) || c.differs(name+" needs "+member), "%s.%s is mandatory", name, member)
	}
	for member, theirKind := range theirs.Properties {
		p := ours.Properties[member]
		switch {
		case p == nil:
			require.True(c.t, c.differs(name+" has "+member), "%s.%s is not described", name, member)
		case !same(theirKind, kindOf(p)):
			require.True(c.t, c.differs(name+"."+member), "%s.%s is %s, we have %s", name, member, theirKind, kindOf(p))
		}
	}
	for member := range ours.Properties {
		if _, there := theirs.Properties[member]; !there {
			what := name + " adds " + member
			if member == name {
				what = name + " adds itself"
			}
			require.True(c.t, c.differs(what), "only we have %s.%s", name, member)
		}
	}
}

// same compares kinds: a reference to a plain or inline type is that type.
func same(theirs, ours string) bool {
	return normal(theirs) == normal(ours) || theirs == "any" && normal(ours) == "string"
}

var plain = map[string]string{"SerInstanceId": "string", "SerName": "string", "Not_specified": "string", "Id": "string", "AppProfile": "object",
	"FilterTexts": "[]string", "RuleState": "string", "_links": "object", "_links2": "object", "_links3": "object", "TransportDependency": "object", "Uint32": "integer"}

func normal(kind string) string {
	of, array := strings.CutPrefix(kind, "[]")
	of = cmp.Or(renamed[of], plain[of], of)
	if array {
		return "[]" + of
	}
	return of
}

func kindOf(s *openapi3.SchemaRef) string {
	switch {
	case s.Ref != "":
		return last(s.Ref)
	case len(s.Value.AllOf) > 0:
		return kindOf(s.Value.AllOf[0])
	case s.Value.Items != nil:
		return "[]" + kindOf(s.Value.Items)
	case s.Value.Type == nil:
		return "any"
	default:
		return s.Value.Type.Slice()[0]
	}
}
