package rules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

// zone is where names must be, in the form of domainName; "": anywhere. A definition with others
// is refused, but the zone may have been set since: so no driver is given others, and those
// that it served are removed.
type zone string

func (z zone) has(name string) bool {
	return z == "" || name == string(z) || strings.HasSuffix(name, "."+string(z))
}

func (z zone) refusal() driver.Refusal {
	return driver.Refusal{Reason: fmt.Sprintf("the name is not in the zone %s, and this platform serves no others", string(z))}
}

// zonedDNS is a driver that serves nothing outside a zone.
type zonedDNS struct {
	dns driver.DNS
	in  zone
}

// Set implements driver.DNS.
func (d zonedDNS) Set(ctx context.Context, name string, t mp1.IPAddressType, records []driver.Record) error {
	if d.in.has(name) || len(records) == 0 {
		return d.dns.Set(ctx, name, t, records)
	}
	if err := d.dns.Set(ctx, name, t, nil); err != nil {
		return err
	}
	return d.in.refusal()
}

// zonedWhole is a driver that serves nothing outside a zone.
type zonedWhole struct {
	dns driver.Whole
	in  zone
}

// SetAll implements driver.Whole.
func (d zonedWhole) SetAll(ctx context.Context, all map[driver.Name][]driver.Record) error {
	inside, refused := map[driver.Name][]driver.Record{}, driver.Refusals{}
	for n, records := range all {
		if d.in.has(n.Name) {
			inside[n] = records
		} else {
			refused[n] = d.in.refusal()
		}
	}
	more, failed := refusals(d.dns.SetAll(ctx, inside))
	if maps.Copy(refused, more); failed != nil || len(refused) == 0 {
		return failed
	}
	return refused
}

// refusals takes the names that were left out from an error of SetAll.
func refusals(err error) (driver.Refusals, error) {
	if refused, is := errors.AsType[driver.Refusals](err); is {
		return refused, nil
	}
	return nil, err
}

// refused says whether an error of Set is the driver's refusal of a name, which no other call
// changes.
func refused(err error) bool {
	_, is := errors.AsType[driver.Refusal](err)
	return is
}
