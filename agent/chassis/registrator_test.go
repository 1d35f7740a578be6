package chassis

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chassis/go-chassis/v2/core/registry"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

var (
	cart     = &registry.MicroService{AppID: "shop", ServiceName: "cart", Version: "1.2.0"}
	instance = &registry.MicroServiceInstance{Status: "UP", EndpointsMap: map[string]*registry.Endpoint{"rest": {Address: "10.0.0.5:8080"}}}
)

// registered registers the cart, as go-chassis does at its start.
func registeredCart(t *testing.T, f *fakePlatform) (r *registrator, service, id string) {
	t.Helper()
	r = newRegistrator(Options{Transport: f}, address, settingsOf(nil))
	service, err := r.RegisterService(cart)
	require.NoError(t, err)
	require.Zero(t, f.count(""), "the platform is not asked yet")
	id, err = r.RegisterServiceInstance(service, instance)
	require.NoError(t, err)
	return r, service, id
}

func TestAnInstanceIsRegisteredKeptAliveChangedAndRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r, service, id := registeredCart(t, f)
		require.Equal(t, "id-1", id)
		time.Sleep(10 * time.Minute)
		require.GreaterOrEqual(t, f.count("PATCH "), 20, "heartbeats every 30 s")
		require.Equal(t, 1, f.count("POST "))

		require.NoError(t, r.UpdateMicroServiceInstanceStatus(service, id, "DOWN"))
		synctest.Wait()
		f.with(func() { require.Equal(t, mp1.Inactive, f.services[id].State) })
		require.NoError(t, r.UpdateMicroServiceInstanceStatus(service, id, "UP"))
		require.NoError(t, r.UpdateMicroServiceInstanceProperties(service, id, map[string]string{"canary": "yes"}))
		time.Sleep(time.Minute)
		f.with(func() {
			at := f.services[id]
			require.Equal(t, mp1.Active, at.State)
			i, ok := instanceOf(&at)
			require.True(t, ok)
			require.Equal(t, "yes", i.Metadata["canary"])
		})
		again, err := r.RegisterServiceInstance(service, instance)
		require.NoError(t, err)
		require.Equal(t, id, again, "go-chassis may ask again")

		require.NoError(t, r.UnRegisterMicroServiceInstance(service, "an id that it had before"))
		f.with(func() { require.Empty(t, f.services) })
		require.NoError(t, r.UnRegisterMicroServiceInstance(service, id))
		id, err = r.RegisterServiceInstance(service, instance)
		require.NoError(t, err)
		require.Equal(t, "id-2", id)
		require.NoError(t, r.Close())
		f.with(func() { require.Empty(t, f.services) })
	})
}

// The application sets itself DOWN, is killed, and starts again with the status UP.
func TestAnApplicationThatWasKilledWhileItWasDownIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		before, service, id := registeredCart(t, f)
		require.NoError(t, before.UpdateMicroServiceInstanceStatus(service, id, "DOWN"))
		synctest.Wait()
		f.with(func() { f.away = true }) // nothing of its end comes to the platform
		require.Error(t, before.Close())
		f.with(func() {
			require.Equal(t, mp1.Inactive, f.services[id].State)
			f.away = false
		})
		after := newRegistrator(Options{Transport: f}, address, settingsOf(nil))
		_, again, err := after.RegisterServiceAndInstance(cart, instance)
		require.NoError(t, err)
		require.Equal(t, id, again)
		synctest.Wait()
		f.with(func() { require.Equal(t, mp1.Active, f.services[id].State) })
		require.NoError(t, after.Close())
		f.with(func() { require.Empty(t, f.services) })
	})
}

// go-chassis asks again when it is told of an error; the agent has gone on meanwhile.
func TestAnApplicationStartsWithoutItsPlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.away = true
		r := newRegistrator(Options{Transport: f}, address, settingsOf(nil))
		service, err := r.RegisterService(cart)
		require.NoError(t, err)
		for range 3 {
			began := time.Now()
			_, err = r.RegisterServiceInstance(service, instance)
			require.ErrorIs(t, err, errNotRegistered)
			require.ErrorContains(t, err, io.ErrUnexpectedEOF.Error())
			require.Equal(t, registrationTimeout, time.Since(began))
		}
		f.with(func() { f.away = false })
		time.Sleep(time.Minute)
		id, err := r.RegisterServiceInstance(service, instance)
		require.NoError(t, err)
		require.Equal(t, "id-1", id)
		require.Equal(t, 1, f.count("POST "))
		require.NoError(t, r.Close())
	})
}

func TestWhyThePlatformRefusesIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.refusal = &mp1.ProblemDetails{Status: 403, Detail: "there are 1,000 of them"}
		r := newRegistrator(Options{Transport: f}, address, settingsOf(nil))
		_, _, err := r.RegisterServiceAndInstance(cart, instance)
		require.ErrorContains(t, err, f.refusal.Detail)
		require.NoError(t, r.Close())
	})
}

// What go-chassis would do at a failed heartbeat, the agent does.
func TestAPlatformThatForgotIsToldByTheAgentAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r, service, id := registeredCart(t, f)
		f.with(func() { clear(f.services) })
		time.Sleep(5 * time.Minute)
		f.with(func() { require.Len(t, f.services, 1) })
		for range 3 {
			ok, err := r.Heartbeat(service, id)
			require.NoError(t, err)
			require.True(t, ok)
			ok, err = r.WSHeartbeat(service, id, func() { t.Error("nothing is to be registered again") })
			require.NoError(t, err)
			require.True(t, ok)
		}
		require.Equal(t, 2, f.count("POST "))
		require.NoError(t, r.UnRegisterMicroServiceInstance(service, id))
		f.with(func() { require.Empty(t, f.services, "under the id that it has now") })
	})
}

func TestAnApplicationThatOnlyConsumesIsNotRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRegistrator(Options{Transport: f}, address, settingsOf(nil))
		service, id, err := r.RegisterServiceAndInstance(cart, &registry.MicroServiceInstance{})
		require.NoError(t, err)
		require.NotEmpty(t, id)
		require.NoError(t, r.UpdateMicroServiceInstanceProperties(service, id, map[string]string{"a": "b"}))
		require.NoError(t, r.UnRegisterMicroServiceInstance(service, id))
		require.Zero(t, f.count(""))
	})
}

func TestWhatCannotBeRegisteredIsRefusedAtOnce(t *testing.T) {
	r := newRegistrator(Options{Transport: newFake()}, address, settingsOf(nil))
	_, err := r.RegisterService(&registry.MicroService{AppID: "no id", ServiceName: "cart"})
	require.ErrorContains(t, err, "servicecomb.service.app")
	_, err = r.RegisterService(nil)
	require.Error(t, err)
	for _, err := range []error{
		r.UpdateMicroServiceInstanceStatus("x", "y", "UP"), r.UpdateMicroServiceInstanceProperties("x", "y", nil),
		r.UpdateMicroServiceProperties("x", nil), r.UnRegisterMicroServiceInstance("x", "y"),
	} {
		require.ErrorIs(t, err, errUnknown)
	}
	_, err = r.RegisterServiceInstance("x", instance)
	require.ErrorIs(t, err, errUnknown)
	require.ErrorIs(t, r.AddSchemas("", "", ""), errSchemas)
	service, err := r.RegisterService(&registry.MicroService{AppID: "shop"})
	require.NoError(t, err)
	_, err = r.RegisterServiceInstance(service, nil)
	require.Error(t, err)
	_, err = r.RegisterServiceInstance(service, instance)
	require.ErrorContains(t, err, "serName")
}
