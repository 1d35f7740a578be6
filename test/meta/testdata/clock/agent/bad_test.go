package agent

import "time"

func wait() { time.Sleep(time.Second) }
