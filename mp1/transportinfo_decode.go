package mp1

import (
	"math"
	"slices"
)

func decodeTransport(o object) (*TransportInfo, error) {
	t, err := o.nonEmptyObject("transportInfo")
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	var out TransportInfo
	var faults Faults
	faults.add(t.refuseOtherCase(transportMembers...))
	for _, f := range []struct {
		name string
		to   *string
	}{{"id", &out.ID}, {"name", &out.Name}, {"protocol", &out.Protocol}, {"version", &out.Version}} {
		*f.to, err = t.text(f.name, maxText)
		faults.add(t.required(f.name, err))
	}
	out.Description, err = t.text("description", maxURI)
	faults.add(ignoreAbsent(err))
	kind, err := t.enum("type", transportTypes)
	faults.add(t.required("type", err))
	out.Type = TransportType(kind)
	out.ImplSpecificInfo, err = t.rawObject("implSpecificInfo")
	faults.add(err)
	out.Endpoint, err = decodeEndpoint(t)
	faults.add(err)
	out.Security, err = decodeSecurity(t)
	faults.add(err)
	return &out, faults.err()
}

func decodeEndpoint(t object) (out EndPointInfo, err error) {
	e, err := t.object("endpoint")
	if err != nil {
		return out, t.required("endpoint", err)
	}
	var faults Faults
	faults.add(e.refuseOtherCase(endpointMembers...))
	out.URIs, err = e.texts("uris", maxURI)
	faults.add(err)
	out.FQDN, err = e.texts("fqdn", maxText)
	faults.add(err)
	out.Addresses, err = decodeAddresses(e)
	faults.add(err)
	out.Alternative, err = e.rawObject("alternative")
	faults.add(err)
	if err := faults.err(); err != nil {
		return out, err
	}
	return exactlyOneEndpoint(e, out)
}

// exactlyOneEndpoint refuses an endpoint that has not exactly one member (§8.1.5.3). Empty
// arrays beside a filled one count as absent, because clients whose types have no absence
// send them; they are removed, so that what is stored has exactly one.
func exactlyOneEndpoint(e object, out EndPointInfo) (EndPointInfo, error) {
	forms, filled := 0, 0
	for _, there := range [][2]bool{{out.URIs != nil, len(out.URIs) > 0}, {out.FQDN != nil, len(out.FQDN) > 0},
		{out.Addresses != nil, len(out.Addresses) > 0}, {out.Alternative != nil, out.Alternative != nil}} {
		if there[0] {
			forms++
		}
		if there[1] {
			filled++
		}
	}
	if forms == 0 || filled > 1 || filled == 0 && forms > 1 {
		return out, &Invalid{e.path, "must have exactly one of uris, fqdn, addresses and alternative"}
	}
	if filled == 1 && forms > 1 {
		if len(out.URIs) == 0 {
			out.URIs = nil
		}
		if len(out.FQDN) == 0 {
			out.FQDN = nil
		}
		if len(out.Addresses) == 0 {
			out.Addresses = nil
		}
	}
	return out, nil
}

func decodeAddresses(e object) ([]Address, error) {
	l, err := e.list("addresses")
	if l == nil || err != nil {
		return nil, err
	}
	out := make([]Address, 0, len(l))
	for _, v := range l {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, &Invalid{e.pathTo("addresses"), "must be an array of objects with host and port"}
		}
		a := object{path: e.pathTo("addresses"), members: m}
		if err := a.refuseOtherCase(addressMembers...); err != nil {
			return nil, err
		}
		host, err := a.requiredText("host", maxText)
		if err != nil {
			return nil, err
		}
		port, err := a.nonNegative("port", math.MaxInt32)
		if err != nil {
			return nil, err
		}
		if port == nil || *port < 1 || *port > 65535 {
			return nil, &Invalid{a.pathTo("port"), "must be a number from 1 to 65535"}
		}
		out = append(out, Address{host, *port})
	}
	return out, nil
}

// decodeSecurity reads SecurityInfo. It is mandatory (§8.1.2.3), but all of its members are
// optional (§8.1.5.4) and clients in the field leave it out, which counts as {}.
func decodeSecurity(t object) (out SecurityInfo, err error) {
	s, err := t.object("security")
	if err != nil {
		return out, ignoreAbsent(err)
	}
	var faults Faults
	faults.add(s.refuseOtherCase(securityMembers...))
	out.Extensions, err = s.rawOthers(oauthMember)
	faults.add(err)
	out.OAuth2Info, err = decodeOAuth2(s)
	faults.add(err)
	return out, faults.err()
}

func decodeOAuth2(s object) (*OAuth2Info, error) {
	o, err := s.object(oauthMember)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	var info OAuth2Info
	var faults Faults
	faults.add(o.refuseOtherCase(oauthMembers...))
	if l, ok := o.members["grantTypes"].([]any); ok && isEmpty(l) { // EdgeGallery sends [""] for none
		delete(o.members, "grantTypes")
	}
	info.GrantTypes, err = o.texts("grantTypes", maxText)
	faults.add(err)
	unknown := func(g string) bool { return !slices.Contains(grantTypes, g) }
	switch {
	case len(info.GrantTypes) > len(grantTypes):
		faults.add(&Invalid{o.pathTo("grantTypes"), "must not contain more than four grant types"})
	case slices.ContainsFunc(info.GrantTypes, unknown):
		faults.add(&Invalid{o.pathTo("grantTypes"), "must contain only OAuth 2.0 grant types of MEC 011"})
	}
	info.TokenEndpoint, err = o.text("tokenEndpoint", maxURI)
	faults.add(ignoreAbsent(err))
	if len(info.GrantTypes) == 0 && info.TokenEndpoint == "" {
		return nil, faults.err()
	}
	return &info, faults.err()
}
