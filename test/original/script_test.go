package original

import "strings"

// step is one request, or the wait for a notification that contains the words of its body.
type step struct {
	name         string
	method, path string // method notified: a notification that was received
	body         string
	as           string            // the application that the gateway names; none: no header; "": that of the path
	keep         map[string]string // variable: member of the body that holds it
	until        string            // it is asked again until the answer has this
}

const (
	notified = "NOTIFIED"
	nobody   = "nobody"
	a        = "5abe4782-2c70-4e47-9a4e-0ee3a1a0fd1f" // applications
	b        = "9a2f6d1c-6b7e-4f0a-8f3d-0a8e5b9c7d21"
	root     = "/mep/mec_service_mgmt/v1"
	support  = "/mep/mec_app_support/v1"
	services = root + "/applications/" + a + "/services"
	watches  = root + "/applications/" + b + "/subscriptions"
	ends     = support + "/applications/" + a + "/subscriptions"
	unknown  = "00000000000000000000000000000000"
	noUUID   = "0a0a0a0a-0000-4000-8000-000000000000"
	beat     = `{"state":"ACTIVE"}`
	bare     = `"version":"v1","state":"ACTIVE","serializer":"JSON"`
	full     = `{"serName":"full","serCategory":{"href":"/c","id":"c1","name":"vision","version":"1"},"version":"v1","state":"ACTIVE","transportId":"Rest1",
		"transportInfo":{"id":"t1","name":"REST","description":"d","type":"REST_HTTP","protocol":"http","version":"2.0","endpoint":{"addresses":[{"host":"full.default","port":32115}]},
		"security":{"oAuth2Info":{"grantTypes":["OAUTH2_CLIENT_CREDENTIALS"],"tokenEndpoint":"/mep/token"}},"implSpecificInfo":{}},
		"serializer":"JSON","scopeOfLocality":"MEC_SYSTEM","consumedLocalOnly":true,"isLocal":true,"livenessInterval":10,"_links":{"self":{"liveness":""}}}`
	watch = `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"{callback}/changes"}`
	end   = `{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":"{callback}/end","appInstanceId":"` + a + `"}`
)

// script is what both are asked, in this order. The names stand in the table of differences.
var script = []step{
	{name: "no services yet", method: "GET", path: services},
	{name: "discover nothing", method: "GET", path: root + "/services", as: b},
	{name: "register, everything given", method: "POST", path: services, body: full, keep: map[string]string{"full": "serInstanceId"}},
	{name: "register, nothing given", method: "POST", path: services, body: `{"serName":"bare",` + bare + `}`, keep: map[string]string{"bare": "serInstanceId"}},
	{name: "register, URIs", method: "POST", path: services, body: `{"serName":"uris","transportInfo":{"id":"t","name":"n","type":"REST_HTTP","protocol":"http","version":"1","endpoint":{"uris":["http://uris.default:80/x"]}},` + bare + `}`, keep: map[string]string{"uris": "serInstanceId"}},
	{name: "register INACTIVE", method: "POST", path: services, body: strings.Replace(strings.Replace(full, `"full"`, `"resting"`, 1), "ACTIVE", "INACTIVE", 1), keep: map[string]string{"resting": "serInstanceId"}},
	{name: "register SUSPENDED", method: "POST", path: services, body: `{"serName":"x",` + strings.Replace(bare, "ACTIVE", "SUSPENDED", 1) + `}`},
	{name: "register without a name", method: "POST", path: services, body: `{` + bare + `}`},
	{name: "register another serializer", method: "POST", path: services, body: `{"serName":"x",` + strings.Replace(bare, "JSON", "YAML", 1) + `}`},
	{name: "register an interval as text", method: "POST", path: services, body: `{"serName":"x","livenessInterval":"5",` + bare + `}`},
	{name: "register a name with a dot", method: "POST", path: services, body: `{"serName":"dot.ted",` + bare + `}`, keep: map[string]string{"dotted": "serInstanceId"}},
	{name: "register no JSON", method: "POST", path: services, body: `x`},
	{name: "register an array", method: "POST", path: services, body: `[]`},
	{name: "register null", method: "POST", path: services, body: `null`},
	{name: "register without a body", method: "POST", path: services},
	{name: "register too much", method: "POST", path: services, body: `{"serName":"x",` + bare + `,"x":"` + strings.Repeat("x", 4096) + `"}`},
	{name: "register for an application that is no UUID", method: "POST", path: root + "/applications/app/services", body: `{"serName":"x",` + bare + `}`},
	{name: "register for another application", method: "POST", path: services, as: b, body: full},
	{name: "register without a gateway", method: "POST", path: services, as: nobody, body: full},

	{name: "get a service", method: "GET", path: services + "/{full}"},
	{name: "get a service of nothing", method: "GET", path: services + "/{bare}"},
	{name: "get a service with URIs", method: "GET", path: services + "/{uris}"},
	{name: "get an unknown service", method: "GET", path: services + "/" + unknown},
	{name: "get a service by no id", method: "GET", path: services + "/x"},
	{name: "get a service of another application", method: "GET", path: services + "/{full}", as: b},
	{name: "discover by name", method: "GET", path: root + "/services?ser_name=full", as: b},
	{name: "discover an unknown name", method: "GET", path: root + "/services?ser_name=nothing", as: b},
	{name: "discover by instance_id", method: "GET", path: root + "/services?instance_id={uris}", as: b},
	{name: "discover an unknown instance_id", method: "GET", path: root + "/services?instance_id=" + unknown, as: b},
	{name: "discover by category", method: "GET", path: root + "/services?ser_category_id=c1&scope_of_locality=NFVI_NODE&consumed_local_only=false&is_local=false", as: b},
	{name: "discover by an unknown parameter", method: "GET", path: root + "/services?ser_name=full&env=x", as: b},
	{name: "discover one", method: "GET", path: root + "/services/{full}", as: b},
	{name: "discover an unknown one", method: "GET", path: root + "/services/" + unknown, as: b},
	{name: "the portal's list", method: "GET", path: root + "/services?ser_name=full", as: nobody},

	{name: "liveness", method: "GET", path: services + "/{full}/liveness"},
	{name: "liveness without heartbeats", method: "GET", path: services + "/{bare}/liveness"},
	{name: "beat", method: "PUT", path: services + "/{full}/liveness", body: beat},
	{name: "beat by PATCH", method: "PATCH", path: services + "/{full}/liveness", body: beat},
	{name: "beat INACTIVE", method: "PUT", path: services + "/{full}/liveness", body: `{"state":"INACTIVE"}`},
	{name: "beat nothing", method: "PUT", path: services + "/{full}/liveness"},
	{name: "beat with more", method: "PUT", path: services + "/{full}/liveness", body: `{"state":"ACTIVE","timeStamp":{"seconds":1,"nanoSeconds":1}}`},
	{name: "beat a resting service", method: "PUT", path: services + "/{resting}/liveness", body: beat},
	{name: "beat without heartbeats", method: "PUT", path: services + "/{bare}/liveness", body: beat},
	{name: "beat an unknown service", method: "PUT", path: services + "/" + unknown + "/liveness", body: beat},
	{name: "beat for another application", method: "PUT", path: services + "/{full}/liveness", as: b, body: beat},

	{name: "update", method: "PUT", path: services + "/{full}", body: strings.Replace(full, `"v1"`, `"v2"`, 1)},
	{name: "update to nothing", method: "PUT", path: services + "/{full}", body: `{}`},
	{name: "update an unknown service", method: "PUT", path: services + "/" + unknown, body: full},
	{name: "update for another application", method: "PUT", path: root + "/applications/" + b + "/services/{full}", body: full},
	{name: "update back", method: "PUT", path: services + "/{full}", body: full},

	{name: "no subscriptions", method: "GET", path: watches},
	{name: "subscribe", method: "POST", path: watches, body: watch, keep: map[string]string{"watch": "subscriptionId"}},
	{name: "subscribe without a callback", method: "POST", path: watches, body: `{"subscriptionType":"SerAvailabilityNotificationSubscription"}`},
	{name: "subscribe nothing", method: "POST", path: watches, body: `null`},
	{name: "subscriptions", method: "GET", path: watches},
	{name: "get a subscription", method: "GET", path: watches + "/{watch}"},
	{name: "get an unknown subscription", method: "GET", path: watches + "/" + noUUID},
	{name: "get a subscription by no id", method: "GET", path: watches + "/x"},
	{name: "subscribe for another application", method: "POST", path: watches, as: a, body: watch},
	{name: "register what is watched", method: "POST", path: services, body: strings.Replace(full, `"full"`, `"watched"`, 1), keep: map[string]string{"watched": "serInstanceId"}},
	{name: "told that it came", method: notified, body: "{watched} ADDED"},
	{name: "delete what is watched", method: "DELETE", path: services + "/{watched}"},
	{name: "told that it went", method: notified, body: "{watched} REMOVED"},
	{name: "delete it again", method: "DELETE", path: services + "/{watched}"},
	{name: "delete for another application", method: "DELETE", path: services + "/{full}", as: b},
	{name: "delete a service by no id", method: "DELETE", path: services + "/x"},
	{name: "unsubscribe", method: "DELETE", path: watches + "/{watch}"},
	{name: "unsubscribe again", method: "DELETE", path: watches + "/{watch}"},

	{name: "transports", method: "GET", path: root + "/transports", as: b},
	{name: "the time", method: "GET", path: support + "/timing/current_time", as: b},
	{name: "where the time is", method: "GET", path: support + "/timing/timing_caps", as: b},
	{name: "ready", method: "POST", path: support + "/applications/" + a + "/confirm_ready", body: `{"indication":"READY"}`},
	{name: "ready, around the gateway", method: "POST", path: support + "/applications/" + a + "/confirm_ready", as: nobody, body: `{"indication":"READY"}`},
	{name: "not ready", method: "POST", path: support + "/applications/" + a + "/confirm_ready", body: `{"indication":"NO"}`},
	{name: "confirm no termination", method: "POST", path: support + "/applications/" + a + "/confirm_termination", body: `{"operationAction":"TERMINATING"}`},
	{name: "no subscription to the end", method: "GET", path: ends},
	{name: "subscribe to the end", method: "POST", path: ends, body: end, keep: map[string]string{"end": "subscriptionId"}},
	{name: "subscriptions to the end", method: "GET", path: ends},
	{name: "get a subscription to the end", method: "GET", path: ends + "/{end}"},

	{name: "a slash behind the path", method: "GET", path: root + "/services/", as: b},
	{name: "a path that is not there", method: "GET", path: root + "/nothing", as: b},
	{name: "a method that is not there", method: "DELETE", path: root + "/services", as: b},
	{name: "healthy", method: "GET", path: "/health", as: nobody},
}

// ofTheManager is what EdgeGallery's manager and portal ask, around the gateway.
var ofTheManager = []step{
	{name: "capabilities", method: "GET", path: "/mepcfg/mec_platform_config/v1/capabilities", as: nobody},
	{name: "a capability", method: "GET", path: "/mepcfg/mec_platform_config/v1/capabilities/{full}", as: nobody},
	{name: "an unknown capability", method: "GET", path: "/mepcfg/mec_platform_config/v1/capabilities/" + unknown, as: nobody},
	{name: "all services", method: "GET", path: "/mep/service_govern/v1/services", as: nobody},
	{name: "who subscribed", method: "GET", path: "/mep/service_govern/v1/subscribe_statistic", as: nobody},
	{name: "configure nothing", method: "POST", path: "/mepcfg/app_lcm/v1/applications/" + b + "/appd_configuration", as: nobody,
		body: `{"appTrafficRule":[],"appDNSRule":[],"appSupportMp1":true,"appName":"m"}`},
	{name: "configure", method: "POST", path: "/mepcfg/app_lcm/v1/applications/" + a + "/appd_configuration", as: nobody, keep: map[string]string{"task": "taskId"},
		body: `{"appTrafficRule":[],"appDNSRule":[{"dnsRuleId":"d1","domainName":"a.example","ipAddressType":"IP_V4","ipAddress":"192.0.2.1","ttl":30}],"appSupportMp1":true,"appName":"n"}`},
	{name: "the task", method: "GET", path: "/mepcfg/app_lcm/v1/tasks/{task}/appd_configuration", as: nobody, until: "SUCCESS"},
	{name: "the configuration", method: "GET", path: "/mepcfg/app_lcm/v1/applications/" + a + "/appd_configuration", as: nobody},
	{name: "configure again", method: "POST", path: "/mepcfg/app_lcm/v1/applications/" + a + "/appd_configuration", as: nobody,
		body: `{"appTrafficRule":[],"appDNSRule":[{"dnsRuleId":"d1","domainName":"a.example","ipAddressType":"IP_V4","ipAddress":"192.0.2.1","ttl":30}],"appSupportMp1":true,"appName":"n"}`},
	{name: "an unknown task", method: "GET", path: "/mepcfg/app_lcm/v1/tasks/" + noUUID + "/appd_configuration", as: nobody},
	{name: "terminate", method: "DELETE", path: support + "/applications/" + a + "/AppInstanceTermination", as: a},
	{name: "told of the end", method: notified, body: "AppTerminationNotification TERMINATING"},
	{name: "confirm the termination", method: "POST", path: support + "/applications/" + a + "/confirm_termination", body: `{"operationAction":"TERMINATING"}`},
	{name: "nothing is left", method: "GET", path: services},
}
