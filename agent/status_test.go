package agent

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestTheStatusSaysWhichServiceIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 2)
		o.Services[1].Probe = &Probe{Check: func(context.Context) error { return errors.New("sick") }}
		r := run(t, o)
		advance(interval)
		require.Equal(t, []bool{true, false}, []bool{r.Status()[0].Ready, r.Status()[1].Ready})
		require.Equal(t, []bool{true, false}, []bool{r.Status()[0].Registered, r.Status()[1].Registered})
		require.False(t, r.Ready())
		f.respondWith(func(*http.Request, int) response { return response{err: refusedDial()} })
		advance(2 * interval)
		require.False(t, r.Status()[0].Ready)
		require.True(t, r.Status()[0].Registered, "a platform that is away has lost nothing")
		f.respondWith(nil)
		f.forgetAll()
		advance(3 * interval)
		require.True(t, r.Status()[0].Registered, "it is registered again")
		require.NoError(t, r.stop())
	})
}
