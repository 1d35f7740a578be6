package mp1

import . "time"

var at = Now()
