// Package browser looks at the board of the built program as people do, in Chromium. It knows the
// page by what is on it, and the wire; it must not know how the page is made. A module of its own
// keeps what drives the browser out of the program's.
//
// Without Chromium its tests skip, and say so. Pictures are written to the folder that
// MEP_PICTURES names, if it is set:
//
//	MEP_PICTURES=/tmp/pictures go test -C test/browser . -run . -v
//	go test -C test/browser . -run Picture -update   # docs/board.png
package browser

import (
	"os"
	"testing"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
)

func TestMain(m *testing.M) {
	os.Exit(tier.Main(m, "test/browser", "starts Chromium, and minutes pass in it", func() int { return mep.Main(m) }))
}
