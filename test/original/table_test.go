package original

// table has the differences that are meant, in the order in which docs/edgegallery.md shows them.
// The first row that fits counts. A reason that begins with maybe is one of what may be or not.
var table = []row{
	{[]string{"* null", "subscribe nothing"}, "status", "500", "400", "a fault of the original"},
	{[]string{"* null", "subscribe nothing"}, "body", "", "", "a fault of the original"},
	{[]string{"register too much"}, "status", "400", "413", "what RFC 9110 has for it; its clients only look for 201"},
	{[]string{"* for another application", "get a service of another application"}, "status", "401", "403", "who calls is known, but may not"},
	{[]string{"update for another application"}, "status", "200", "403", "a fault of the original: nobody may take the services of others"},
	{[]string{"* by no id"}, "status", "400", "404", "it is an id that nobody has"},
	{[]string{"register a name with a dot"}, "status", "400", "201", "MEC 011 has no rule for names"},
	{[]string{"register for an application that is no UUID"}, "status", "400", "201", "ids of applications are the platform's to choose"},
	{[]string{"beat by PATCH"}, "status", "405", "204", "MEC 011's own method"},
	{[]string{"discover an unknown name", "discover an unknown instance_id"}, "status", "400", "200", "an empty list; its agent says of both that the service does not exist"},
	{[]string{"discover by instance_id"}, "body[[]]", "", "absent", "asked for one, it is the one"},
	{[]string{"discover by category"}, "body[[]]", "", "absent", "parameters narrow together"},
	{[]string{"discover by an unknown parameter"}, "body.error*", "", "absent", "service-center's error, which does not pass through here"},
	{[]string{"*"}, "contentType", "*json; charset=UTF-8", "application|problem+json", "MEC 009 and RFC 9457 have it for refusals; it is JSON all the same"},
	{[]string{"*"}, "contentType", "text*", "application|problem+json", "a refusal has one form everywhere"},
	{[]string{"a * not there", "a slash behind the path"}, "body", "", "", "a refusal has one form everywhere"},
	{[]string{"*"}, "contentType", "*json; charset=UTF-8", "", "204 has no content"},
	{[]string{"*"}, "body.detail", "", "", "says what to do"},
	{[]string{"*"}, "body.title", "", "", "that of the HTTP status"},
	{[]string{"*"}, "body.status", "[0-9]*", "", "the HTTP status, as MEC 009 and RFC 9457 have it; there, a code of the original's own, which no client reads"},
	{[]string{"register*"}, "location", "|mep|mp1|*", "", "where the service is; the original names a place that is not there"},
	{[]string{"subscribe*"}, "location", "", "|mep|*", "reached through the gateway, which the original's is not"},
	{[]string{"*"}, "*.href", "", "|mep|*", "reached through the gateway, which the original's is not"},
	{[]string{"register*", "update*"}, "body._links.appInstanceId", "", "{A}", "the owner, as in a GET"},
	{[]string{"*"}, "*.endpoint.uris*", "*{gateway}*", "", maybe + "its own endpoint, until the gateway has taken the service: it was never reached here"},
	{[]string{"*"}, "*.endpoint.addresses", "null", "", maybe + "its own endpoint, until the gateway has taken the service: it was never reached here"},
	{[]string{"register, nothing given", "get a service of nothing", "all services"}, "*.transportInfo.*", "", "", "completed, see [descriptions](#descriptions)"},
	{[]string{"*"}, "*.grantTypes", "null", "", "an empty list can be gone through"},
	{[]string{"*"}, "*.grantTypes[[]]", "", "absent", "none is none; there, one without a name"},
	{[]string{"subscribe", "get a subscription"}, "body.filteringCriteria", "", "absent", "there are none"},
	{[]string{"told that it went"}, "body.serviceReferences[[]].link", "{}", "absent", "MEC 011 has none in REMOVED"},
	{[]string{"told of the end"}, "body._links.*", "", "", "links as MEC 011 has them; EdgeGallery's applications do not read them"},
	{[]string{"configure nothing"}, "status", "404", "200", "MECM configures applications without rules too, and takes anything but 200 for a failure"},
	{[]string{"transports"}, "body[[]].*", "", "", "the platform's own; that of an imported store stays"},
	{[]string{"healthy"}, "*", "", "", "probes look at the status only"},
}

const maybe = "perhaps: "
