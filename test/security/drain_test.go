package security

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// An application that could undrain its services, or drain those of others, would be its own
// administrator.
func TestOnlyAdministratorsDrainAndEachDrainIsAudited(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.log")
	s := mep.Secure(t, "MEP_AUDIT_FILE="+file)
	owner, reader, admin := s.As(s.Add("app-1")), s.As(s.Add("board", "reader")), s.As(s.Add("operator", "admin"))
	v := owner.Register("app-1", "n", 60)
	path := mp1.LivenessBase + "/services/" + v.ID + "/drain"
	const reason = `{"reason":"disk is replaced"}`
	for _, c := range []*mep.Server{owner, reader} {
		for _, prefix := range []string{"", "/mep"} {
			require.Equal(t, 403, c.Do("PUT", prefix+path, reason).Status)
			require.Equal(t, 403, c.Do("DELETE", prefix+path, "").Status)
		}
	}
	require.Equal(t, 401, s.Do("PUT", path, reason).Status)
	require.Equal(t, "ACTIVE", owner.State(v.ID))

	require.Equal(t, "drained by operator: disk is replaced", admin.Want(200, "PUT", path, reason).Object(t)["reason"])
	require.Contains(t, string(owner.Want(409, "PATCH", v.Liveness, mep.Alive).Body), "drained by operator: disk is replaced")
	require.Equal(t, 403, owner.Do("DELETE", path, "").Status, "also of its own")
	require.Equal(t, "INACTIVE", owner.State(v.ID))
	admin.Want(200, "DELETE", path, "")
	require.Equal(t, 200, s.Admin("PUT", path, reason).Status, "by the admin socket")

	var done []string
	wait.Until(t, "each is audited", func() bool {
		done = nil
		for _, l := range settled(t, file, 0) {
			if l.Resource == path && l.Outcome == "done" {
				done = append(done, l.Method+" by "+l.Identity)
			}
		}
		return len(done) >= 3
	})
	require.Equal(t, []string{"PUT by operator", "DELETE by operator", "PUT by admin socket"}, done)
}
