package mp1

import "math"

// The most characters of a string, and of one that holds a URI or a description.
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

// DecodeServiceInfo reads the body of a registration (§8.2.6.3.4). Unknown members are
// ignored at every level, and so are serInstanceId, _links and isLocal, which the platform
// sets. An optional member, and security, may be null, which counts as absent; so does an
// optional object in which everything is empty. transportId is replaced by the transport
// that it names, unless there is a transportInfo. Its errors are *Invalid.
func DecodeServiceInfo(data []byte) (ServiceInfo, error) {
	info, err := DecodeUpdate(data)
	switch {
	case err != nil:
		return ServiceInfo{}, err
	case info.State == Suspended:
		return ServiceInfo{}, &Invalid{"state", "must be ACTIVE or INACTIVE; only the platform suspends"}
	case info.TransportInfo == nil:
		return ServiceInfo{}, &Invalid{"transportInfo", "one of transportInfo and transportId is mandatory"}
	}
	return info, nil
}

// DecodeUpdate reads the body of an update (§8.2.7.3.2) as DecodeServiceInfo does, with two
// differences: the transport may be absent, so that the stored one stays, and the state may
// be SUSPENDED, which the caller must refuse unless the service is suspended. Its errors are
// *Invalid.
func DecodeUpdate(data []byte) (ServiceInfo, error) {
	info, err := decodeService(data)
	if err != nil {
		return ServiceInfo{}, err
	}
	if info.TransportInfo == nil && info.TransportID != "" {
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
	o, err := readDocument(data)
	if err != nil {
		return info, err
	}
	if err = o.refuseOtherCase(serviceMembers...); err != nil {
		return info, err
	}
	if info.SerName, err = o.requiredText("serName", maxText); err != nil {
		return info, err
	}
	if info.Version, err = o.requiredText("version", maxText); err != nil {
		return info, err
	}
	state, err := o.enum("state", states)
	if err != nil {
		return info, o.required("state", err)
	}
	info.State = State(state)
	serializer, err := o.enum("serializer", serializers)
	if err != nil {
		return info, o.required("serializer", err)
	}
	info.Serializer = Serializer(serializer)
	scope, err := o.optionalEnum("scopeOfLocality", localities)
	if err != nil {
		return info, err
	}
	info.ScopeOfLocality = Locality(scope)
	if info.ConsumedLocalOnly, err = o.boolean("consumedLocalOnly"); err != nil {
		return info, err
	}
	if _, err = o.boolean("isLocal"); err != nil { // its value is the platform's to set
		return info, err
	}
	if info.LivenessInterval, err = o.nonNegative("livenessInterval", math.MaxInt32); err != nil {
		return info, err
	}
	if info.SerCategory, err = decodeCategory(o, "serCategory"); err != nil {
		return info, err
	}
	if info.TransportID, err = o.text("transportId", maxText); ignoreAbsent(err) != nil {
		return info, err
	}
	info.TransportInfo, err = decodeTransport(o)
	return info, err
}

// decodeCategory reads an optional CategoryRef.
func decodeCategory(o object, name string) (*CategoryRef, error) {
	c, err := o.nonEmptyObject(name)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	out, err := categoryFrom(c)
	if out == (CategoryRef{}) { // only members that are not ours say something
		return nil, err
	}
	return &out, err
}

func categoryFrom(c object) (out CategoryRef, err error) {
	if err := c.refuseOtherCase(categoryMembers...); err != nil {
		return out, err
	}
	for i, to := range []*string{&out.Href, &out.ID, &out.Name, &out.Version} {
		name := categoryMembers[i]
		if *to, err = c.text(name, maxURI); err != nil {
			return out, c.required(name, err)
		}
	}
	return out, nil
}
