package edgegallery

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// suspend suspends what has not sent a heartbeat for an interval and a twentieth of it, at
// most 5 s, and what Options add. p.mu is held.
func (p *Platform) suspend() {
	for _, i := range p.instances {
		interval := time.Duration(i.info.LivenessInterval) * time.Second
		if interval > 0 && i.info.State == "ACTIVE" && time.Since(i.beatAt) > interval+min(interval/20, 5*time.Second)+p.options.Late {
			i.info.State = "SUSPENDED"
		}
	}
}

func (p *Platform) liveness(w http.ResponseWriter, r *http.Request) {
	p.on(w, r, func(i *instance) {
		if i.info.LivenessInterval == 0 {
			refuse(w, noHeartbeats, "Invalid get heartbeat request")
			return
		}
		answer(w, http.StatusOK, map[string]any{"state": i.info.State, "interval": i.info.LivenessInterval,
			"timeStamp": map[string]any{"seconds": i.beatAt.Unix(), "nanoSeconds": i.beatAt.Nanosecond()}})
	})
}

func (p *Platform) beat(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	var update struct {
		State string `json:"state"`
	}
	switch {
	case err != nil || len(body) > maxBody:
		refuse(w, requestParam, "request body too large")
		return
	case len(body) == 0:
		refuse(w, requestParam, "request body is empty")
		return
	case json.Unmarshal(body, &update) != nil:
		refuse(w, parseInfo, "unmarshal request body error")
		return
	case update.State != "ACTIVE":
		refuse(w, requestParam, "request param validation failed")
		return
	}
	p.on(w, r, func(i *instance) {
		switch {
		case i.info.LivenessInterval == 0:
			refuse(w, noHeartbeats, "Invalid heartbeat update request")
		case i.info.State == "INACTIVE":
			refuse(w, serviceInactive, "The service is in INACTIVE state")
		default:
			i.info.State, i.beatAt = "ACTIVE", time.Now()
			i.beats++
			w.Header().Set("X-Response-Status", "204")
			w.WriteHeader(http.StatusNoContent)
		}
	})
}
