package rules

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

// pickyDNS cannot serve one name, which has an alias there.
type pickyDNS struct {
	*fakeDNS
	never string
}

func (d pickyDNS) Set(ctx context.Context, name string, t mp1.IPAddressType, records []driver.Record) error {
	if name == d.never {
		return errors.New("the name is an alias")
	}
	return d.fakeDNS.Set(ctx, name, t, records)
}

// A name that never can be served must not keep others of its application from being repaired.
func TestWhatIsLostIsFoundBesideANameThatCannotBeServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := newFakeStore(), newFakeDNS()
		by := pickyDNS{dns, "alias.example"}
		r := newReplica(t, s, by, 0)
		r.define(t, "app", aRule("bad", "alias.example", "192.0.2.1", mp1.RuleActive), aRule("good", "good.example", "192.0.2.2", mp1.RuleActive))
		time.Sleep(time.Second)
		require.NotEmpty(t, dns.addresses("good.example"))
		lose := func() { dns.set(func(d *fakeDNS) { d.served = map[driver.Name][]driver.Record{} }) }
		lose()
		time.Sleep(3 * driftEvery)
		require.NotEmpty(t, dns.addresses("good.example"), "from time to time")
		r.stop()
		lose()
		r = newReplica(t, s, by, 0)
		defer r.stop()
		time.Sleep(5 * time.Second)
		require.NotEmpty(t, dns.addresses("good.example"), "at a start")
		require.Equal(t, mp1.RuleActive, r.state(t, "app", "good"))
		require.Equal(t, mp1.RuleInactive, r.state(t, "app", "bad"))
	})
}
