package agent

import (
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// What Plan says is what Run does, for both ask the same function.
func TestThePlanIsWhatRunDoesAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		o := options(f, 3)
		o.OnStop, o.StateFile = Leave, filepath.Join(t.TempDir(), "state")
		before := run(t, o)
		var ids []string
		for _, s := range before.Status() {
			ids = append(ids, s.ID)
		}
		require.NoError(t, before.stop())
		other := serviceInfo("other")
		other.SerInstanceID = "another"
		f.add("another", other)
		delete(f.services, ids[0])
		o.Services[2].Info.Serializer = "XML"
		registered, requests := f.registered(), len(f.requests)

		a, err := New(o)
		require.NoError(t, err)
		plan, err := a.Plan(t.Context())
		require.NoError(t, err)
		require.Equal(t, []Planned{
			{Service: "s0", Action: ActionRegister},
			{Service: "s1", Action: ActionAdopt, ID: ids[1], State: "ACTIVE"},
			{Service: "s2", Action: ActionUpdate, ID: ids[2], State: "ACTIVE"},
			{Service: "other", Action: ActionLeave, ID: "another", State: "ACTIVE"},
		}, plan)
		require.Equal(t, registered, f.registered())
		require.Len(t, f.requests, requests+1, "one list")
		checkState(t, o.StateFile, 3)

		r := start(t, a)
		advance(interval)
		require.Equal(t, []string{ids[1], ids[2]}, []string{r.Status()[1].ID, r.Status()[2].ID})
		require.Len(t, f.registrations(), 4, "s0 once more")
		require.NoError(t, r.stop())
		require.Contains(t, f.registered(), "another")
	})
}

func TestThePlanSaysWhyThereIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(10)
		f.respondWith(func(*http.Request, int) response { return respond(403, nil) })
		a, err := New(options(f, 1))
		require.NoError(t, err)
		_, err = a.Plan(t.Context())
		require.Equal(t, http.StatusForbidden, statusOf(err))

		o := options(f, 1)
		o.StateFile = t.TempDir()
		a, err = New(o)
		require.NoError(t, err)
		_, err = a.Plan(t.Context())
		require.ErrorContains(t, err, "read the state file")
	})
}
