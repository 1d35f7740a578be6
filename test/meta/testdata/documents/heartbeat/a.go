package heartbeat

const total = "mep_there_total"
