// Package failpoint knows what stands at its points.
package failpoint

import (
	_ "example.org/own/name/heartbeat"
)
