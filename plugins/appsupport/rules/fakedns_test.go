package rules

import (
	"context"
	"sync"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

// fakeDNS serves names in memory. It is a driver.DNS and, by fakeWhole, a driver.Whole.
type fakeDNS struct {
	mu     sync.Mutex
	served map[driver.Name][]driver.Record
	fail   error
	hang   bool          // no call returns before its context ends
	gate   chan struct{} // calls of Set wait for it; nil: they do not
	calls  int
	atOnce map[driver.Name]int
	twice  bool // a name was set by two at a time
}

func newFakeDNS() *fakeDNS {
	return &fakeDNS{served: map[driver.Name][]driver.Record{}, atOnce: map[driver.Name]int{}}
}

func (d *fakeDNS) begin(n driver.Name) (hang bool, gate chan struct{}, fail error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	d.atOnce[n]++
	d.twice = d.twice || d.atOnce[n] > 1
	return d.hang, d.gate, d.fail
}

func (d *fakeDNS) Set(ctx context.Context, name string, t mp1.IPAddressType, records []driver.Record) error {
	n := driver.Name{Name: name, Type: t}
	hang, gate, fail := d.begin(n)
	if hang {
		<-ctx.Done()
		fail = ctx.Err()
	}
	if gate != nil {
		<-gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.atOnce[n]--
	if fail != nil {
		return fail
	}
	if d.served[n] = records; len(records) == 0 {
		delete(d.served, n)
	}
	return nil
}

type fakeWhole struct{ *fakeDNS }

func (d fakeWhole) SetAll(ctx context.Context, all map[driver.Name][]driver.Record) error {
	hang, _, fail := d.begin(driver.Name{})
	if hang {
		<-ctx.Done()
		fail = ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.atOnce[driver.Name{}]--
	if fail == nil {
		d.served = all
	}
	return fail
}

func (d fakeWhole) Local() {}

func (d *fakeDNS) set(f func(*fakeDNS)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

func (d *fakeDNS) addresses(name string) (out []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range []mp1.IPAddressType{mp1.IPv4, mp1.IPv6} {
		for _, r := range d.served[driver.Name{Name: name, Type: t}] {
			out = append(out, r.Address.String())
		}
	}
	return out
}

// size is how many names are served.
func (d *fakeDNS) size() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.served)
}

func (d *fakeDNS) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}
