package main

func identities() row {
	return row{"Identities, logs", []panel{
		{title: "Refused, by why", unit: rate, queries: []query{by("reason", "mep_identity_refused_total")}},
		{title: "Tokens asked for", unit: rate, queries: []query{by("outcome", "mep_issuer_tokens_total")}},
		{title: "Tokens of ours verified", unit: rate, queries: []query{by("outcome", "mep_issuer_verified_total"), counted("mep_identity_tokens_read_total", "signatures computed")}},
		{title: "Credentials, keys, streams", unit: number, queries: []query{most("mep_issuer_credentials", "credentials"), least("mep_identity_keys", "keys of other issuers"), total("mep_identity_streams", "streams")}},
		{title: "Age of credentials and keys", unit: second, queries: []query{most("mep_issuer_credentials_age_seconds", "credentials"), most("mep_identity_keys_age_seconds", "keys")}},
		{title: "Keys fetched", unit: rate, queries: []query{by("outcome", "mep_identity_key_fetches_total")}},
		{title: "Certificates end in", unit: second, queries: []query{least("mep_tls_certificate_seconds_left", "server"), least("mep_notification_certificate_seconds_left", "for consumers"),
			{"min by (part) (" + on("mep_edgegallery_certificate_seconds_left") + ")", "EdgeGallery's {{part}}"}}},
		{title: "Files that cannot be used", unit: none, queries: []query{each("mep_tls_files_unusable")}},
		{title: "Audited", unit: rate, queries: []query{by("outcome", "mep_audit_lines_total")}},
		{title: "Lines lost", unit: rate, queries: []query{counted("mep_audit_lines_dropped_total", "audit"), counted("mep_log_lines_dropped_total", "log")}},
	}}
}

func neighbours() row {
	return row{"ServiceComb, applications, DNS, EdgeGallery", []panel{
		{title: "What ServiceComb holds", unit: number, queries: []query{split("kind", "mep_servicecomb_entries")}},
		{title: "Caches of ServiceComb", unit: bytes, queries: []query{split("cache", "mep_servicecomb_cache_bytes")}},
		{title: "Put right in ServiceComb", unit: rate, queries: []query{by("kind", "mep_servicecomb_repairs_total")}},
		{title: "Refused at ServiceComb's API", unit: rate, queries: []query{
			{"sum by (reason) (rate(" + on("mep_servicecomb_writes_refused_total") + "[$__rate_interval]))", "write: {{reason}}"},
			{"sum by (reason) (rate(" + on("mep_servicecomb_requests_refused_total") + "[$__rate_interval]))", "request: {{reason}}"}}},
		{title: "Shown to ServiceComb's clients", unit: none, queries: []query{each("mep_servicecomb_registered")}},
		{title: "Applications", unit: number, queries: []query{split("state", "mep_applications")}},
		{title: "Terminations, ready", unit: rate, queries: []query{by("step", "mep_applications_terminations_total"), counted("mep_applications_ready_total", "ready")}},
		{title: "Rules", unit: number, queries: []query{
			{"max by (state) (" + on("mep_rules_dns") + ")", "DNS {{state}}"}, {"max by (state) (" + on("mep_rules_traffic") + ")", "traffic {{state}}"},
			most("mep_rules_names_failing", "names failing"), most("mep_rules_names_removing", "names removing")}},
		{title: "Calls of the DNS driver", unit: rate, queries: []query{by("outcome", "mep_rules_driver_calls_total")}},
		{title: "EdgeGallery's gateway", unit: number, queries: []query{most("mep_gateway_entries", "entries"), most("mep_gateway_entries_removing", "removing"), most("mep_gateway_entries_refused", "refused"),
			most("mep_gateway_services_waiting", "services waiting"), most("mep_gateway_failing", "failing")}},
		{title: "Requests to the gateway", unit: rate, queries: []query{by("outcome", "mep_gateway_requests_total")}},
		{title: "Lost for EdgeGallery", unit: rate, queries: []query{counted("mep_gateway_calls_dropped_total", "calls not counted"), counted("mep_platform_terminations_dropped_total", "terminations")}},
	}}
}

func processes() row {
	return row{"Processes", []panel{
		{title: "Processors", unit: number, queries: []query{{"rate(" + on("process_cpu_seconds_total") + "[$__rate_interval])", "{{instance}}"}}},
		{title: "Memory", unit: bytes, queries: []query{each("process_resident_memory_bytes")}},
		{title: "Goroutines", unit: number, queries: []query{each("go_goroutines")}},
		{title: "Files open", unit: number, queries: []query{each("process_open_fds"), {"min(" + on("process_max_fds") + ")", "limit"}}},
	}}
}

// Agents are another job, on hosts that the choice of servers does not name.
func agents() row {
	counted := func(label, metric string) query {
		return query{"sum by (" + label + ") (rate(" + metric + "[$__rate_interval]))", "{{" + label + "}}"}
	}
	return row{"Agents", []panel{
		{title: "Heartbeats by outcome", unit: rate, queries: []query{counted("outcome", "mep_agent_heartbeats_total")}},
		{title: "Registrations by outcome", unit: rate, queries: []query{counted("outcome", "mep_agent_registrations_total")}},
		{title: "Heartbeats that leave late", unit: rate, queries: []query{counted("instance", "mep_agent_heartbeats_late_total")}},
		{title: "Delay of a heartbeat, 99 %", unit: second, queries: []query{{"histogram_quantile(0.99, sum by (le) (rate(mep_agent_heartbeat_delay_seconds_bucket[$__rate_interval])))", "99 %"}}},
		{title: "Requests under way", unit: number, queries: []query{{"mep_agent_requests_under_way", "{{instance}}"}}},
		{title: "Registrations lost, failovers, log lines dropped", unit: rate, queries: []query{
			{"sum(rate(mep_agent_registrations_lost_total[$__rate_interval]))", "registrations lost"},
			{"sum(rate(mep_agent_failovers_total[$__rate_interval]))", "failovers"},
			{"sum(rate(mep_agent_log_lines_dropped_total[$__rate_interval]))", "log lines dropped"}}},
	}}
}
