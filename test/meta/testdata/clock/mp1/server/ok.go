package server

import "time"

var started = time.Now()
