package mp1

import "time"

func stamp() int64 { return time.Now().Unix() }
