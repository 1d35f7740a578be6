package soaks

import "flag"

var length = flag.Duration("soak", 0, "how long")
