package heartbeat

import clock "time"

var now = clock.Now
