package mp1

import (
	"bytes"
	"math"
	"slices"
)

// The most bytes of a text; URIs may be longer.
const (
	maxText = 256
	maxURI  = 2048
)

var (
	serviceMembers = []string{"serInstanceId", "serName", "serCategory", "version", "state", "transportId", "transportInfo", "serializer",
		"scopeOfLocality", "consumedLocalOnly", "isLocal", "livenessInterval", "_links"}
	categoryMembers  = []string{"href", "id", "name", "version"}
	transportMembers = []string{"id", "name", "description", "type", "protocol", "version", "endpoint", "security", "implSpecificInfo"}
	endpointMembers  = []string{"uris", "fqdn", "addresses", "alternative"}
	addressMembers   = []string{"host", "port"}
	securityMembers  = []string{"oAuth2Info"}
	oauthMembers     = []string{"grantTypes", "tokenEndpoint"}
	livenessMembers  = []string{"state", "ServiceLivenessUpdate"}
)

// known says whether a name may appear in an error: what the client made up may not.
func known(name string) bool {
	for _, names := range [][]string{serviceMembers, categoryMembers, transportMembers, endpointMembers, addressMembers, securityMembers, oauthMembers, livenessMembers} {
		if slices.Contains(names, name) {
			return true
		}
	}
	return false
}

// DecodeServiceInfo reads the body of a registration (§8.2.6.3.4). Unknown members
// are ignored at every level, and so are serInstanceId and _links; null is the
// absence of an optional member. transportId is resolved; transportInfo wins over it.
// Its errors are *Invalid.
func DecodeServiceInfo(data []byte) (ServiceInfo, error) {
	info, err := decodeService(data)
	switch {
	case err != nil:
		return ServiceInfo{}, err
	case info.State == Suspended:
		return ServiceInfo{}, &Invalid{"state", "must be ACTIVE or INACTIVE; only the platform suspends"}
	case info.TransportInfo == nil && info.TransportID == "":
		return ServiceInfo{}, &Invalid{"transportInfo", "one of transportInfo and transportId is mandatory"}
	case info.TransportInfo == nil:
		t, ok := TransportByID(info.TransportID)
		if !ok {
			return ServiceInfo{}, &Invalid{"transportId", "must be the id of a transport that GET /transports offers"}
		}
		info.TransportInfo = &t
	}
	info.TransportID = ""
	return info, nil
}

func decodeService(data []byte) (info ServiceInfo, err error) {
	o, err := document(data)
	if err != nil {
		return info, err
	}
	if err = o.only(serviceMembers...); err != nil {
		return info, err
	}
	if info.SerName, err = o.filled("serName", maxText); err != nil {
		return info, err
	}
	if info.Version, err = o.filled("version", maxText); err != nil {
		return info, err
	}
	state, err := o.enum("state", states)
	if err != nil {
		return info, o.missing("state", err)
	}
	info.State = State(state)
	serializer, err := o.enum("serializer", serializers)
	if err != nil {
		return info, o.missing("serializer", err)
	}
	info.Serializer = Serializer(serializer)
	scope, err := o.enum("scopeOfLocality", localities)
	if ignoreAbsent(err) != nil {
		return info, err
	}
	info.ScopeOfLocality = Locality(scope)
	if info.ConsumedLocalOnly, err = o.boolean("consumedLocalOnly"); err != nil {
		return info, err
	}
	if info.IsLocal, err = o.boolean("isLocal"); err != nil {
		return info, err
	}
	if info.LivenessInterval, err = o.whole("livenessInterval", math.MaxInt32); err != nil {
		return info, err
	}
	if info.SerCategory, err = category(o); err != nil {
		return info, err
	}
	if info.TransportID, err = o.text("transportId", maxText); ignoreAbsent(err) != nil {
		return info, err
	}
	info.TransportInfo, err = transport(o)
	return info, err
}

func category(o object) (*CategoryRef, error) {
	c, err := o.object("serCategory")
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	if err := c.only(categoryMembers...); err != nil {
		return nil, err
	}
	var out CategoryRef
	for name, to := range map[string]*string{"href": &out.Href, "id": &out.ID, "name": &out.Name, "version": &out.Version} {
		if *to, err = c.text(name, maxURI); err != nil {
			return nil, c.missing(name, err)
		}
	}
	return &out, nil
}

func transport(o object) (*TransportInfo, error) {
	t, err := o.object("transportInfo")
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	if err := t.only(transportMembers...); err != nil {
		return nil, err
	}
	var out TransportInfo
	for _, f := range []struct {
		name string
		to   *string
	}{{"id", &out.ID}, {"name", &out.Name}, {"protocol", &out.Protocol}, {"version", &out.Version}} {
		if *f.to, err = t.text(f.name, maxText); err != nil {
			return nil, t.missing(f.name, err)
		}
	}
	if out.Description, err = t.text("description", maxURI); ignoreAbsent(err) != nil {
		return nil, err
	}
	kind, err := t.enum("type", transports)
	if err != nil {
		return nil, t.missing("type", err)
	}
	out.Type = TransportType(kind)
	if v, err := t.object("implSpecificInfo"); err == nil {
		out.ImplSpecificInfo = v.members
	} else if ignoreAbsent(err) != nil {
		return nil, err
	}
	if out.Endpoint, err = endpoint(t); err != nil {
		return nil, err
	}
	out.Security, err = security(t)
	return &out, err
}

func endpoint(t object) (out EndPointInfo, err error) {
	e, err := t.object("endpoint")
	if err != nil {
		return out, t.missing("endpoint", err)
	}
	if err = e.only(endpointMembers...); err != nil {
		return out, err
	}
	if out.URIs, err = e.texts("uris", maxURI); err != nil {
		return out, err
	}
	if out.FQDN, err = e.texts("fqdn", maxText); err != nil {
		return out, err
	}
	if out.Addresses, err = addresses(e); err != nil {
		return out, err
	}
	if v, err := e.object("alternative"); err == nil {
		out.Alternative = v.members
	} else if ignoreAbsent(err) != nil {
		return out, err
	}
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
	if forms == 0 || filled > 1 {
		return out, &Invalid{e.path, "must have exactly one of uris, fqdn, addresses and alternative"}
	}
	return out, nil
}

func addresses(e object) ([]Address, error) {
	l, err := e.list("addresses")
	if l == nil || err != nil {
		return nil, err
	}
	out := make([]Address, 0, len(l))
	for _, v := range l {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, &Invalid{e.at("addresses"), "must be an array of objects with host and port"}
		}
		a := object{path: e.at("addresses"), members: m}
		if err := a.only(addressMembers...); err != nil {
			return nil, err
		}
		host, err := a.filled("host", maxText)
		if err != nil {
			return nil, err
		}
		port, err := a.whole("port", math.MaxInt32)
		if err != nil {
			return nil, err
		}
		if port == nil || *port < 1 || *port > 65535 {
			return nil, &Invalid{a.at("port"), "must be a number from 1 to 65535"}
		}
		out = append(out, Address{host, *port})
	}
	return out, nil
}

func security(t object) (out SecurityInfo, err error) {
	s, err := t.object("security")
	if err != nil {
		return out, t.missing("security", err)
	}
	if err = s.only(securityMembers...); err != nil {
		return out, err
	}
	o, err := s.object("oAuth2Info")
	if err != nil {
		return out, ignoreAbsent(err)
	}
	if err = o.only(oauthMembers...); err != nil {
		return out, err
	}
	var info OAuth2Info
	if info.GrantTypes, err = o.texts("grantTypes", maxText); err != nil {
		return out, err
	}
	for _, g := range info.GrantTypes {
		if !slices.Contains(grants, g) {
			return out, &Invalid{o.at("grantTypes"), "must contain only OAuth 2.0 grant types of MEC 011"}
		}
	}
	if info.TokenEndpoint, err = o.text("tokenEndpoint", maxURI); ignoreAbsent(err) != nil {
		return out, err
	}
	if len(info.GrantTypes) > 0 || info.TokenEndpoint != "" {
		out.OAuth2Info = &info
	}
	return out, nil
}

var usualBeat = []byte(`{"state":"ACTIVE"}`)

// CheckLivenessUpdate reads the body of a heartbeat (§8.1.2.5): {"state":"ACTIVE"}, or
// the same inside ServiceLivenessUpdate as the published OpenAPI has it. Its errors
// are *Invalid.
func CheckLivenessUpdate(data []byte) error {
	if bytes.Equal(data, usualBeat) {
		return nil
	}
	o, err := document(data)
	if err != nil {
		return err
	}
	if err := o.only(livenessMembers...); err != nil {
		return err
	}
	inner, err := o.object("ServiceLivenessUpdate")
	switch {
	case err == nil:
		if err := inner.only("state"); err != nil {
			return err
		}
		if err := activeState(inner); err != nil {
			return err
		}
		if o.members["state"] == nil {
			return nil
		}
	case ignoreAbsent(err) != nil:
		return err
	}
	return activeState(o)
}

func activeState(o object) error {
	state, err := o.text("state", maxText)
	if err != nil {
		return o.missing("state", err)
	}
	if state != string(Active) {
		return &Invalid{o.at("state"), "must be ACTIVE: a heartbeat says nothing else"}
	}
	return nil
}
