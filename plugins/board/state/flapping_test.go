package state

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// Who looks at a service that flaps sees that subscribers are told later, and until when.
func TestThatAServiceFlapsIsSaid(t *testing.T) {
	_, r := mixed()
	ids, _ := ask(t, r, "")
	r.host.Telling = &telling{flaps: ids[0]}
	_, a := ask(t, r, "")
	require.Equal(t, &mp1.Flapping{Changes: 7, Until: "1970-01-01T01:00:00Z"}, a.Services[0].Flapping)
	require.Nil(t, a.Services[1].Flapping)
	require.Equal(t, 1, a.Services[0].Notified.PutOff)
}
