package main

// row is a line of panels, folded but for the first two.
type row struct {
	title  string
	panels []panel
}

// panel shows queries: one number where now is true, else curves.
type panel struct {
	title, unit string
	now         bool
	red         float64 // of now: red from here, or below it if it is negative; 0: never
	queries     []query
}

// query is an expression of Prometheus, and how its series are called.
type query struct{ expr, legend string }

// Units are Grafana's names.
const (
	number  = "short"
	second  = "s"
	micro   = "µs"
	bytes   = "bytes"
	percent = "percentunit"
	rate    = "ops"
	none    = "none"
)

// by is the sum of a counter's rate by one label; all is that of everything.
func by(label, metric string) query {
	return query{"sum by (" + label + ") (rate(" + on(metric) + "[$__rate_interval]))", "{{" + label + "}}"}
}

func counted(metric, legend string) query {
	return query{"sum(rate(" + on(metric) + "[$__rate_interval]))", legend}
}

// each is a gauge of every server; most and least are of all.
func each(metric string) query { return query{on(metric), "{{instance}}"} }

func most(metric, legend string) query { return query{"max(" + on(metric) + ")", legend} }

func least(metric, legend string) query { return query{"min(" + on(metric) + ")", legend} }

func total(metric, legend string) query { return query{"sum(" + on(metric) + ")", legend} }

func split(label, metric string) query {
	return query{"max by (" + label + ") (" + on(metric) + ")", "{{" + label + "}}"}
}

// rows are the whole dashboard.
func rows() []row {
	return []row{now(), services(), engine(), store(), notifications(), requests(), streams(), identities(), neighbours(), processes(), agents()}
}

func now() row {
	return row{"Now", []panel{
		{title: "Servers that answer", unit: none, now: true, red: -1, queries: []query{{`sum(up{job="mepserver"})`, ""}}},
		{title: "Replicas that know each other", unit: none, now: true, red: -1, queries: []query{least("mep_replicas", "")}},
		{title: "Services", unit: number, now: true, queries: []query{most("mep_services", "")}},
		{title: "SUSPENDED", unit: number, now: true, queries: []query{most("mep_services_suspended", "")}},
		{title: "Silent, not judged yet", unit: number, now: true, red: 1, queries: []query{most("mep_services_absent", "")}},
		{title: "Mass expiry", unit: none, now: true, red: 1, queries: []query{most("mep_mass_expiry", "")}},
		{title: "Store in use", unit: percent, now: true, red: .85, queries: []query{{"max(" + on("mep_store_bytes_in_use") + " / " + on("mep_store_quota_bytes") + ")", ""}}},
		{title: "Oldest notification that waits", unit: second, now: true, red: 600, queries: []query{most("mep_notification_oldest_seconds", "")}},
		{title: "Certificate ends in", unit: second, now: true, red: -7 * 86400, queries: []query{least("mep_tls_certificate_seconds_left", "")}},
		{title: "Heartbeats a second", unit: number, now: true, queries: []query{counted(`service_center_http_request_total{api="mp1.PatchLiveness"}`, "alone"), counted("mep_batched_heartbeats_total", "with others")}},
		{title: "Alerts that fire", unit: none, now: true, red: 1, queries: []query{{`count(ALERTS{alertname=~"Mep.*",alertstate="firing"}) or vector(0)`, ""}}},
		{title: "Running since", unit: second, now: true, queries: []query{{"min(time() - process_start_time_seconds{job=\"mepserver\"})", ""}}},
	}}
}

func services() row {
	return row{"Services", []panel{
		{title: "Services", unit: number, queries: []query{most("mep_services", "all"), most("mep_services_suspended", "SUSPENDED"), most("mep_services_absent", "silent, not judged yet")}},
		{title: "What became of services", unit: rate, queries: []query{by("kind", "mep_transactions_total")}},
		{title: "Heartbeats by answer", unit: rate, queries: []query{by("code", `service_center_http_request_total{api="mp1.PatchLiveness"}`), {"sum by (code) (rate(" + on("mep_batched_heartbeats_total") + "[$__rate_interval]))", "{{code}}, with others"}}},
		{title: "Heartbeats that are due, and the bound", unit: rate, queries: []query{most("mep_heartbeats_due_per_second", "due"), most("mep_heartbeats_bound_per_second", "bound")}},
		{title: "Interval that the platform chooses", unit: second, queries: []query{most("mep_interval_chosen_seconds", "")}},
		{title: "Intervals told", unit: rate, queries: []query{counted("mep_intervals_told_total", "")}},
		{title: "Silences of 1.5 intervals", unit: rate, queries: []query{counted(`mep_transactions_total{kind="SILENT"}`, "silent"), counted(`mep_transactions_total{kind="HEARD"}`, "heard again"), counted(`mep_transactions_total{kind="REARM"}`, "lease lost though heard")}},
		{title: "Suspended though heard, displaced", unit: rate, queries: []query{counted("mep_suspended_though_heard_total", "suspended though heard"), counted("mep_services_displaced_total", "displaced by a new one")}},
		{title: "Mass expiry, records that cannot be read", unit: number, queries: []query{most("mep_mass_expiry", "mass"), most("mep_records_unreadable", "unreadable")}},
	}}
}

func engine() row {
	return row{"Liveness engine", []panel{
		{title: "Late", unit: second, queries: []query{each("mep_engine_late_seconds")}},
		{title: "Instances that wait, by what for", unit: number, queries: []query{split("for", "mep_engine_scheduled")}},
		{title: "Work that waits for a worker", unit: number, queries: []query{split("work", "mep_engine_queue")}},
		{title: "Leases that ended, by who ended them", unit: rate, queries: []query{by("by", "mep_lease_ends_total")}},
		{title: "Did not trust its own observation", unit: rate, queries: []query{by("reason", "mep_disturbances_total")}},
		{title: "Waits for other replicas", unit: number, queries: []query{most("mep_claims_waiting", "claims waiting"), most("mep_ends_unsettled", "ends unsettled")}},
		{title: "Waited for by others", unit: second, queries: []query{each("mep_watermark_idle_seconds")}},
		{title: "Replicas", unit: none, queries: []query{each("mep_replicas")}},
		{title: "Changes not logged and counted", unit: rate, queries: []query{counted("mep_engine_notices_dropped_total", "dropped")}},
	}}
}

func store() row {
	return row{"Store", []panel{
		{title: "Bytes", unit: bytes, queries: []query{most("mep_store_bytes_in_use", "in use"), most("mep_store_bytes", "file"), most("mep_store_quota_bytes", "quota")}},
		{title: "Full, short", unit: none, queries: []query{most("mep_store_full", "full"), most("mep_store_short", "short")}},
		{title: "Writes refused", unit: rate, queries: []query{by("class", "mep_store_refused_total")}},
		{title: "Calls that hang", unit: number, queries: []query{split("sort", "mep_store_calls_hanging")}},
		{title: "Compactions", unit: rate, queries: []query{by("reason", "mep_store_compactions_total")}},
		{title: "Defragmentations", unit: rate, queries: []query{by("reason", "mep_store_defragmentations_total")}},
		{title: "fsync of the embedded store, 99 %", unit: second, queries: []query{{"histogram_quantile(0.99, sum by (le, instance) (rate(" + on("etcd_disk_wal_fsync_duration_seconds_bucket") + "[$__rate_interval])))", "{{instance}}"}}},
	}}
}

func notifications() row {
	return row{"Notifications", []panel{
		{title: "POSTs by outcome", unit: rate, queries: []query{by("outcome", "mep_notification_posts_total"), counted("mep_notification_retries_total", "again")}},
		{title: "Oldest that waits", unit: second, queries: []query{each("mep_notification_oldest_seconds")}},
		{title: "Events not told", unit: rate, queries: []query{by("reason", "mep_notification_events_lost_total"), counted("mep_notification_events_unreadable_total", "unreadable")}},
		{title: "Services that flap, changes put off", unit: number, queries: []query{most("mep_services_flapping", "services"), {"max(rate(" + on("mep_notification_changes_put_off_total") + "[$__rate_interval]))", "changes a second"}}},
		{title: "Under way", unit: number, queries: []query{total("mep_notification_posts_in_flight", "in flight"), total("mep_notification_posts_waiting", "waiting"), total("mep_notification_posts_limit", "limit")}},
		{title: "Kept for consumers", unit: bytes, queries: []query{most("mep_notification_kept_bytes", "kept")}},
		{title: "Subscriptions, WebSockets", unit: number, queries: []query{most("mep_subscriptions", "subscriptions"), total("mep_notification_websockets", "WebSockets")}},
		{title: "Test notifications", unit: rate, queries: []query{by("outcome", "mep_notification_tests_total")}},
		{title: "Answers of consumers cut", unit: rate, queries: []query{counted("mep_notification_answers_cut_total", "cut")}},
		{title: "Keys that sign, files that cannot be used", unit: none, queries: []query{least("mep_notification_signing_keys", "keys"), most("mep_notification_files_unusable", "unusable files")}},
	}}
}

func streams() row {
	return row{"Event stream and board", []panel{
		{title: "Readers", unit: number, queries: []query{each("mep_events_readers")}},
		{title: "Readers that began anew", unit: rate, queries: []query{by("reason", "mep_events_resets_total")}},
		{title: "Readers that were cut", unit: rate, queries: []query{by("reason", "mep_events_cut_total")}},
		{title: "Changes kept for readers that go on", unit: number, queries: []query{each("mep_events_kept")}},
		{title: "Changes that no stream shows", unit: rate, queries: []query{counted("mep_events_unreadable_total", "unreadable")}},
	}}
}

func requests() row {
	return row{"Requests", []panel{
		{title: "By answer", unit: rate, queries: []query{by("code", "service_center_http_request_total")}},
		{title: "Time of a heartbeat", unit: micro, queries: []query{{"max by (quantile) (" + on(`service_center_http_request_durations_microseconds{api="mp1.PatchLiveness"}`) + ")", "{{quantile}}"}}},
		{title: "Refused by a limit", unit: rate, queries: []query{{"sum by (limit, scope) (rate(" + on("mep_limit_refused_total") + "[$__rate_interval]))", "{{limit}} of {{scope}}"}}},
		{title: "Callers that limits know", unit: number, queries: []query{each("mep_limit_callers")}},
		{title: "Connections", unit: number, queries: []query{total("mep_connections", "open"), total("mep_connections_limit", "limit"), total("mep_connections_streams", "more streams of HTTP/2")}},
		{title: "Connections closed", unit: rate, queries: []query{by("reason", "mep_connections_closed_total")}},
		{title: "Answers not read", unit: bytes, queries: []query{total("mep_answers_unread_bytes", "unread"), total("mep_answers_unread_limit_bytes", "limit")}},
		{title: "Answers refused or cut, bodies left", unit: rate, queries: []query{counted("mep_answers_refused_total", "refused"), counted("mep_answers_cut_total", "cut"), counted("mep_bodies_left_total", "bodies left")}},
		{title: "Handshakes", unit: rate, queries: []query{counted("mep_tls_handshakes_held_total", "held"), counted("mep_tls_handshakes_refused_total", "refused")}},
		{title: "Handshakes, slots that wait", unit: number, queries: []query{total("mep_tls_handshakes_waiting", "handshakes"), total("mep_request_slots_waiting", "slots"), total("mep_requests_held", "held")}},
		{title: "Requests held, slots missed", unit: rate, queries: []query{by("refused", "mep_requests_held_total"), counted("mep_request_slots_missed_total", "slots missed")}},
	}}
}
