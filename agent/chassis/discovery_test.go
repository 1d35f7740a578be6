package chassis

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chassis/go-chassis/v2/core/registry"
	"github.com/go-chassis/go-chassis/v2/pkg/util/tags"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func offer(t *testing.T, f *fakePlatform, id string, state mp1.State) {
	t.Helper()
	info, ok := describe(cart, instance, 30)
	require.True(t, ok)
	info = shown(t, info, "shop")
	info.SerInstanceID, info.State = id, state
	f.with(func() { f.services[id] = info })
}

func found(t *testing.T, d *discovery) (ids []string) {
	t.Helper()
	all, err := d.FindMicroServiceInstances("", "cart", utiltags.Tags{})
	require.NoError(t, err)
	for _, i := range all {
		require.Equal(t, "UP", i.Status)
		ids = append(ids, i.InstanceID)
	}
	return ids
}

func newTestDiscovery(t *testing.T, f *fakePlatform) *discovery {
	t.Helper()
	d := newDiscovery(Options{Transport: f}, address, settingsOf(map[string]string{refreshSetting: "2s"}))
	d.AutoSync()
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func TestACallFindsWhatIsActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		d := newTestDiscovery(t, f)
		require.Empty(t, found(t, d))
		offer(t, f, "id-1", mp1.Active)
		offer(t, f, "id-2", mp1.Inactive)
		for range 100 {
			require.Empty(t, found(t, d))
		}
		require.Equal(t, 1, f.count("GET "), "calls are answered from what is known")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"id-1"}, found(t, d))
		f.with(func() { delete(f.services, "id-1") }) // it is suspended, so that discovery leaves it out
		offer(t, f, "id-2", mp1.Active)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"id-2"}, found(t, d))
	})
}

func TestWhatThePlatformSaidLastCountsWhileItIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		offer(t, f, "id-1", mp1.Active)
		d := newTestDiscovery(t, f)
		require.Equal(t, []string{"id-1"}, found(t, d))
		f.with(func() { f.away = true })
		time.Sleep(5 * time.Minute)
		require.Equal(t, []string{"id-1"}, found(t, d))
		offer(t, f, "id-2", mp1.Active)
		f.with(func() { f.away = false; delete(f.services, "id-1") })
		time.Sleep(3 * time.Second)
		require.Equal(t, []string{"id-2"}, found(t, d))
	})
}

func TestAPlatformThatNeverAnsweredIsNotAskedByEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.away = true
		d := newDiscovery(Options{Transport: f}, address, settingsOf(nil))
		for range 100 {
			_, err := d.FindMicroServiceInstances("", "cart", utiltags.Tags{})
			require.Error(t, err)
		}
		asked := f.count("GET ")
		f.with(func() { f.away = false })
		offer(t, f, "id-1", mp1.Active)
		time.Sleep(failurePause)
		require.Equal(t, []string{"id-1"}, found(t, d))
		require.Equal(t, asked+1, f.count("GET "))
		require.LessOrEqual(t, asked, 2)
		require.NoError(t, d.Close())
	})
}

func TestCallsAtOnceAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.latency = time.Second
		offer(t, f, "id-1", mp1.Active)
		d := newTestDiscovery(t, f)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { require.Equal(t, []string{"id-1"}, found(t, d)) })
		}
		wg.Wait()
		require.Equal(t, 1, f.count("GET "))
	})
}

func TestANameThatNobodyCallsIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		d := newTestDiscovery(t, f)
		found(t, d)
		time.Sleep(forgetTime + time.Minute)
		asked := f.count("GET ")
		require.Greater(t, asked, 100)
		time.Sleep(time.Hour)
		require.Equal(t, asked, f.count("GET "))
		d.mu.Lock()
		defer d.mu.Unlock()
		require.Empty(t, d.names)
	})
}

// go-chassis asks for its own microservice before it registers again.
func TestItsOwnMicroserviceIsThere(t *testing.T) {
	d := newDiscovery(Options{Transport: newFake()}, address, settingsOf(nil))
	m, err := d.GetMicroService("cart:1.2.0:shop")
	require.NoError(t, err)
	require.Equal(t, "cart:1.2.0:shop", m.ServiceID)
	_, err = d.GetMicroService("")
	require.Error(t, err)
}

func TestFaultsOfTheSettingsAreSaidByEachCall(t *testing.T) {
	bad := settingsOf(map[string]string{refreshSetting: "often"})
	d := newDiscovery(Options{}, address, bad)
	d.AutoSync()
	_, err := d.FindMicroServiceInstances("", "cart", utiltags.Tags{})
	require.ErrorContains(t, err, refreshSetting)
	_, err = newRegistrator(Options{}, address, bad).RegisterService(cart)
	require.ErrorContains(t, err, refreshSetting)
	_, err = newDiscovery(Options{}, registry.Options{}, settingsOf(nil)).FindMicroServiceInstances("", "cart", utiltags.Tags{})
	require.ErrorContains(t, err, "Endpoints")
}
