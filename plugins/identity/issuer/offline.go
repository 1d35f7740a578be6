package issuer

import (
	"context"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/plugins"
)

// Administration serves what the admin socket does for credentials, over a store that no
// server uses; list lists all of it. It is for the one who can open the store, and for nobody
// else.
func Administration(store plugins.Credentials, now func() time.Time, list func(context.Context) ([]plugins.Credential, error)) http.Handler {
	mux := http.NewServeMux()
	for _, r := range (administration{accounts: Accounts{Store: store, Now: now}, list: list}).routes() {
		mux.Handle(r.pattern, r.handler)
	}
	return mux
}
