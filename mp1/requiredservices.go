package mp1

import (
	"encoding/json"
	"maps"
	"strings"
)

const (
	// maxRequired is how many characters mepauth's list of required services may have.
	maxRequired = 64 << 10
	// discoversAll is what a list contains that lets an application discover every service.
	discoversAll = "service-discovery"
)

// RequiredServices are the services that an application of EdgeGallery's platform requires: it
// discovers no others. The zero value lets it discover none.
type RequiredServices struct {
	all   bool
	names map[string]struct{}
}

// AllServices lets an application discover every service.
func AllServices() RequiredServices { return RequiredServices{all: true} }

// Equal says whether two let an application discover the same.
func (r RequiredServices) Equal(o RequiredServices) bool {
	return r.all == o.all && (r.all || maps.Equal(r.names, o.names))
}

// Allows says whether the application may discover services of a name.
func (r RequiredServices) Allows(serName string) bool {
	_, ok := r.names[serName]
	return ok || r.all
}

// All says whether the application may discover every service.
func (r RequiredServices) All() bool { return r.all }

// DecodeRequiredServices reads what EdgeGallery's mepauth knows of an application. Its
// required_services is a text: "*" alone, or one that contains "service-discovery" anywhere,
// stands for every service; any other must be a JSON array of names. Names are compared to the
// letter, so that "*" in an array is a name like others. Keys and secrets beside it are not read.
// Its error is Faults or *Invalid.
func DecodeRequiredServices(data []byte) (r RequiredServices, err error) {
	o, err := readDocument(data)
	if err != nil {
		return r, err
	}
	if err = o.refuseOtherCase("required_services"); err != nil {
		return r, err
	}
	text, err := o.requiredText("required_services", maxRequired)
	if err != nil {
		return r, err
	}
	if text == "*" || strings.Contains(text, discoversAll) {
		return RequiredServices{all: true}, nil
	}
	var names []string
	if json.Unmarshal([]byte(text), &names) != nil {
		return r, &Invalid{"required_services", `must be "*" or a JSON array of names of services`}
	}
	r.names = make(map[string]struct{}, len(names))
	for _, name := range names {
		if name != "" { // null, too
			r.names[name] = struct{}{}
		}
	}
	return r, nil
}
