package plugins

import (
	"encoding/json"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// ServiceName is the serName in a record's attributes; "" if the record has none. It parses
// JSON, so no heartbeat may call it.
func ServiceName(r *heartbeat.Record) string {
	var info struct {
		SerName string `json:"serName"`
	}
	_ = json.Unmarshal([]byte(r.Attributes), &info) // the name is for the log only
	return info.SerName
}
