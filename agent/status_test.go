package agent

import (
	"context"
	"errors"
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
		require.False(t, r.Ready())
		require.NoError(t, r.stop())
	})
}
