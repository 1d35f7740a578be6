package heartbeat

import (
	"testing"
	"time"
)

func TestSleeps(*testing.T) { time.Sleep(time.Second); _ = time.Now() }
