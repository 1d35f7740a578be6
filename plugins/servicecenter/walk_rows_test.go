package servicecenter

import "github.com/mec-liveness/mepserver/plugins/servicecenter/center/centertest"

// row says how a route of service-center can be asked to write to what is ours. In
// query and bodies stand $sid, $iid, $app, $name and $version for what is ours and $own
// and $inst for what is a ServiceComb client's.
type row struct {
	query  string
	bodies []string
	// none says why there is nothing to ask.
	none string
}

const (
	v4reg     = "/v4/:project/registry/"
	v4ms      = v4reg + "microservices"
	v4one     = v4ms + "/:serviceId"
	v4inst    = v4one + "/instances"
	v4oneInst = v4inst + "/:instanceId"
	govKind   = "/v1/:project/gov/:kind"
	reads     = "it reads"
	ofKey     = `"appId":"$app","serviceName":"$name","version":"$version"`
	policies  = "policies go to a configuration server, and none is built in"
)

var rows = map[string]row{
	"GET " + v4reg + "version":                         {none: reads},
	"GET " + v4reg + "health":                          {none: reads},
	"GET " + v4reg + "existence":                       {query: "type=microservice&appId=$app&serviceName=$name&version=$version"},
	"GET " + v4ms:                                      {},
	"GET " + v4one:                                     {},
	"GET " + v4one + "/watcher":                        {},
	"GET " + v4one + "/listwatcher":                    {},
	"GET " + v4one + "/rules":                          {},
	"GET " + v4one + "/tags":                           {},
	"GET " + v4one + "/schemas":                        {},
	"GET " + v4one + "/schemas/:schemaId":              {},
	"GET " + v4inst:                                    {},
	"GET " + v4oneInst:                                 {},
	"GET " + v4ms + "/:consumerId/providers":           {},
	"GET " + v4ms + "/:providerId/consumers":           {},
	"GET " + v4reg + "instances":                       {query: "appId=$app&serviceName=$name&version=latest"},
	"GET /v4/:project/admin/alarms":                    {none: reads},
	"GET /v4/:project/admin/dump":                      {none: reads},
	"GET /v4/:project/admin/clusters":                  {none: reads},
	"GET /v4/:project/govern/microservices":            {query: "options=all&withShared=true"},
	"GET /v4/:project/govern/microservices/:serviceId": {},
	"GET /v4/:project/govern/relations":                {},
	"GET /v4/:project/govern/apps":                     {},
	"GET /registry/v3/govern/services":                 {query: "options=all"},
	"GET /registry/v3/govern/service/:serviceId":       {},
	"GET /registry/v3/govern/relation":                 {},
	"GET " + govKind:                                   {none: policies},
	"GET " + govKind + "/:id":                          {none: policies},
	"POST " + govKind:                                  {none: policies},
	"PUT " + govKind + "/:id":                          {none: policies},
	"DELETE " + govKind + "/:id":                       {none: policies},
	"DELETE /v4/:project/admin/alarms":                 {none: "it clears the alarms that service-center shows"},

	"POST " + v4ms: {bodies: []string{
		`{"service":{` + ofKey + `}}`,
		`{"service":{` + ofKey + `},"instances":[{"instanceId":"$iid",` + centertest.Instance + `}]}`,
		`{"service":{` + ofKey + `},"rules":[` + centertest.BlackRule + `],"tags":{"a":"b"}}`,
		`{"service":{"serviceName":"walk.a","serviceId":"$sid"},"instances":[{` + centertest.Instance + `}],"rules":[` + centertest.BlackRule + `]}`,
		`{"service":{"serviceName":"walk.b"},"instances":[{"instanceId":"$iid","serviceId":"$sid",` + centertest.Instance + `}]}`,
		`{"service":{"serviceName":"walk.c","serviceId":"$sid/$iid"}}`,
		`{"service":{"serviceName":"walk.d","serviceId":"x/../$sid"}}`,
		`{"service":{"serviceName":"walk.e"},"instances":[{"instanceId":"../$sid/$iid",` + centertest.Instance + `}]}`,
		`{"service":{"appId":"$app","serviceName":"walk.f","alias":"$name","version":"$version"},"rules":[` + centertest.BlackRule + `]}`,
		`{"SERVICE":{"appId":"x"},"service":{"APPID":"$app","serviceName":"y","ServiceName":"$name","VERSION":"$version"},"rules":[` + centertest.BlackRule + `]}`,
	}},
	"DELETE " + v4ms: {bodies: []string{
		`{"serviceIds":["$sid"],"force":true}`, `{"serviceIds":["$own","$sid"],"force":true}`, `{"SERVICEIDS":["$sid"],"Force":true}`,
		`{"serviceIds":["$sid/"],"force":true}`, `{"serviceIds":["$sid/$iid"],"force":true}`,
	}},
	"PUT " + v4one + "/properties":           {bodies: []string{`{"properties":{"a":"b"}}`, `{"serviceId":"$sid","properties":{"a":"b"}}`, `{"serviceId":"$own","SERVICEID":"$sid","properties":{}}`}},
	"DELETE " + v4one:                        {query: "force=true"},
	"POST " + v4one + "/rules":               {bodies: []string{`{"rules":[` + centertest.BlackRule + `]}`}},
	"PUT " + v4one + "/rules/:rule_id":       {bodies: []string{centertest.BlackRule}},
	"DELETE " + v4one + "/rules/:rule_id":    {},
	"POST " + v4one + "/tags":                {bodies: []string{`{"tags":{"a":"b"}}`}},
	"PUT " + v4one + "/tags/:key":            {query: "value=b"},
	"DELETE " + v4one + "/tags/:key":         {},
	"POST " + v4one + "/schemas":             {bodies: []string{`{"schemas":[{"schemaId":"a","summary":"b","schema":"c"}]}`}},
	"PUT " + v4one + "/schemas/:schemaId":    {bodies: []string{`{"schema":"c","summary":"b"}`}},
	"DELETE " + v4one + "/schemas/:schemaId": {},
	"POST " + v4inst: {bodies: []string{
		`{"instance":{` + centertest.Instance + `}}`, `{"instance":{"instanceId":"$iid",` + centertest.Instance + `}}`, `{"instance":{"serviceId":"$sid","instanceId":"$iid",` + centertest.Instance + `}}`,
		`{"instance":{"instanceId":"../$sid/$iid",` + centertest.Instance + `}}`, `{"instance":{"instanceId":"$iid/x",` + centertest.Instance + `}}`,
	}},
	"DELETE " + v4oneInst:              {},
	"PUT " + v4oneInst + "/heartbeat":  {},
	"PUT " + v4oneInst + "/status":     {query: "value=DOWN"},
	"PUT " + v4oneInst + "/properties": {bodies: []string{`{"properties":{"a":"b"}}`, `{"serviceId":"$sid","instanceId":"$iid","properties":{"a":"b"}}`}},
	"PUT " + v4reg + "heartbeats": {bodies: []string{
		`{"instances":[{"serviceId":"$sid","instanceId":"$iid"}]}`, `{"Instances":[{"serviceId":"$own","instanceId":"$inst"},{"SERVICEID":"$sid","INSTANCEID":"$iid"}]}`,
		`{"instances":[{"serviceId":"$sid/$iid","instanceId":""}]}`, `{"instances":[{"serviceId":"x/../$sid","instanceId":"$iid"}]}`,
	}},
	"POST " + v4reg + "instances/action": {query: "type=query", bodies: []string{
		`{"consumerServiceId":"$sid","services":[{"service":{"appId":"$app","serviceName":"$name","version":"latest"}}]}`,
		`{"consumerServiceId":"$own","services":[{"service":{"appId":"$app","serviceName":"$name","version":"latest"}}],"instances":[{"instance":{"serviceId":"$sid","instanceId":"$iid"}}]}`,
	}},
	"POST " + v4reg + "dependencies": dependencyRow,
	"PUT " + v4reg + "dependencies":  dependencyRow,
}

var dependencyRow = row{bodies: []string{
	`{"dependencies":[{"consumer":{` + ofKey + `},"providers":[{"serviceName":"*"}]}]}`,
	`{"dependencies":[{"consumer":{` + ofKey + `},"providers":[]}]}`,
	`{"dependencies":[{"consumer":{"appId":"walk","serviceName":"own","version":"1.0.0"},"providers":[{"appId":"$app","serviceName":"$name","version":"latest"}]}]}`,
	`{"dependencies":[{"consumer":{"appId":"walk","serviceName":"own","version":"1.0.0"},"providers":[]},{"CONSUMER":{` + ofKey + `},"providers":[{"appId":"walk","serviceName":"own","version":"1.0.0"}]}]}`,
}}
