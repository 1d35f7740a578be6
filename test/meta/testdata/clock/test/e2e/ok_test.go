package e2e

import "time"

func wait() { time.Sleep(time.Second) }
