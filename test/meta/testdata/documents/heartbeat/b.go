package heartbeat

const unlisted = "mep_unlisted_total"
