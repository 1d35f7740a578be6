// Package quiet keeps the about hundred lines that service-center and its libraries
// print while they are being imported away from the user. It must import nothing
// but os: Go initialises it before whatever needs net/http only because it is ready
// as soon as os is and its path sorts before net/http's.
package quiet

import "os"

var stdout, stderr = os.Stdout, os.Stderr

// There is no other moment: whoever logs in an init takes os.Stdout as it is then.
func init() { //nolint:gochecknoinits // see above
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stdout, os.Stderr = null, null
	}
}

// Over puts the real outputs back.
func Over() { os.Stdout, os.Stderr = stdout, stderr }
