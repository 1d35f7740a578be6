package servicecenter

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/center"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// registered registers this replica as service-center until the test ends, and returns its
// instance.
func registered(t *testing.T) (*center.Registration, keys.Instance) {
	t.Helper()
	e := center.NewRegistration(db, plugins.NewLog(logged, "INFO"), records.Name(), "rest://10.0.0.1:30100")
	e.Ensure(t.Context())
	t.Cleanup(func() { e.Leave(t.Context()) })
	return e, keys.Instance{ServiceID: center.SelfServiceID, InstanceID: "mep-" + records.Name()}
}

// Nothing of the registration of service-center is a service of Mp1's, and neither list nor
// watch nor tidying takes it for another client's.
func TestTheRegistrationOfServiceCenterIsNoService(t *testing.T) {
	_, at := registered(t)
	storetest.Repaired(t, records)
	all, _, err := records.List(t.Context())
	require.NoError(t, err)
	for _, l := range all {
		require.False(t, strings.HasPrefix(string(l.ID), center.SelfServiceID))
	}
	require.NoError(t, records.Tidy(t.Context(), 0, time.Now().UnixNano(), time.Hour))
	storetest.Repaired(t, records)
	require.Contains(t, storetest.Everything(t, db), keys.ServicePrefix+center.SelfServiceID)
	require.Contains(t, storetest.Everything(t, db), keys.MarkPrefix+center.SelfServiceID)
	require.Contains(t, storetest.Everything(t, db), at.Key())
	_, ok := keys.ParseInstance(at.Key())
	require.False(t, ok, "the watch passes over it")
}

// The microservice stays when the last replica has gone for a while: another one's tidying
// or list may come before its instance is back.
func TestTheMicroserviceOfServiceCenterOutlivesItsInstances(t *testing.T) {
	e, _ := registered(t)
	e.Leave(t.Context())
	storetest.Repaired(t, records)
	require.NoError(t, records.Tidy(t.Context(), 0, time.Now().UnixNano(), time.Hour))
	require.Contains(t, storetest.Everything(t, db), keys.MarkPrefix+center.SelfServiceID)
	require.Contains(t, storetest.Everything(t, db), keys.ServicePrefix+center.SelfServiceID)
}
