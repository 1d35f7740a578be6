package heartbeat

import "time"

var at = time.Now()

func since() time.Duration { return time.Since(at) }
