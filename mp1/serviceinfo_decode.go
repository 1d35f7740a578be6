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
// that it names, unless there is a transportInfo. Its error is Faults or *Invalid.
func DecodeServiceInfo(data []byte) (ServiceInfo, error) {
	info, faults, err := decodeService(data)
	if err != nil {
		return ServiceInfo{}, err
	}
	faults.add(info.resolveTransport())
	info.checkRegistration(&faults)
	return info.orError(faults)
}

// DecodeUpdate reads the body of an update (§8.2.7.3.2) as DecodeServiceInfo does, with two
// differences: the transport may be absent, so that the stored one stays, and the state may
// be SUSPENDED, which the caller must refuse unless the service is suspended. Its error is
// Faults or *Invalid.
func DecodeUpdate(data []byte) (ServiceInfo, error) {
	info, faults, err := decodeService(data)
	if err != nil {
		return ServiceInfo{}, err
	}
	faults.add(info.resolveTransport())
	return info.orError(faults)
}

// CheckServiceInfo holds a description of a service, in JSON, to the rules of a registration:
// those of DecodeServiceInfo, except that any transportId is accepted, for each platform has
// its own. Its error is Faults or *Invalid.
func CheckServiceInfo(data []byte) error {
	info, faults, err := decodeService(data)
	if err != nil {
		return err
	}
	info.checkRegistration(&faults)
	return faults.err()
}

// orError is what a Decode function returns.
func (i ServiceInfo) orError(faults Faults) (ServiceInfo, error) {
	if err := faults.err(); err != nil {
		return ServiceInfo{}, err
	}
	i.TransportID = ""
	return i, nil
}

// resolveTransport replaces a transportId by the transport that it names.
func (i *ServiceInfo) resolveTransport() error {
	if i.TransportInfo != nil || i.TransportID == "" {
		return nil
	}
	t, ok := TransportByID(i.TransportID)
	if !ok {
		return &Invalid{"transportId", "must be the id of a transport that GET /transports offers"}
	}
	i.TransportInfo = &t
	return nil
}

// checkRegistration adds what is a fault in a registration, and none in an update.
func (i *ServiceInfo) checkRegistration(faults *Faults) {
	if i.State == Suspended {
		faults.add(&Invalid{"state", "must be ACTIVE or INACTIVE; only the platform suspends"})
	}
	if i.TransportInfo == nil && i.TransportID == "" && !faults.in("transportInfo") && !faults.in("transportId") {
		faults.add(&Invalid{"transportInfo", "one of transportInfo and transportId is mandatory"})
	}
}

// decodeService reads the members of a description, and every fault in them. err is the fault
// of a body that cannot be read at all.
func decodeService(data []byte) (info ServiceInfo, faults Faults, err error) {
	o, err := readDocument(data)
	if err != nil {
		return info, nil, err
	}
	faults.add(o.refuseOtherCase(serviceMembers...))
	info.SerName, err = o.requiredText("serName", maxText)
	faults.add(err)
	info.Version, err = o.requiredText("version", maxText)
	faults.add(err)
	state, err := o.enum("state", states)
	faults.add(o.required("state", err))
	info.State = State(state)
	serializer, err := o.enum("serializer", serializers)
	faults.add(o.required("serializer", err))
	info.Serializer = Serializer(serializer)
	scope, err := o.optionalEnum("scopeOfLocality", localities)
	faults.add(err)
	info.ScopeOfLocality = Locality(scope)
	info.ConsumedLocalOnly, err = o.boolean("consumedLocalOnly")
	faults.add(err)
	_, err = o.boolean("isLocal") // its value is the platform's to set
	faults.add(err)
	info.LivenessInterval, err = o.nonNegative("livenessInterval", math.MaxInt32)
	faults.add(err)
	info.SerCategory, err = decodeCategory(o, "serCategory")
	faults.add(err)
	info.TransportID, err = o.text("transportId", maxText)
	faults.add(ignoreAbsent(err))
	info.TransportInfo, err = decodeTransport(o)
	faults.add(err)
	return info, faults, nil
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
	var faults Faults
	faults.add(c.refuseOtherCase(categoryMembers...))
	for i, to := range []*string{&out.Href, &out.ID, &out.Name, &out.Version} {
		name := categoryMembers[i]
		*to, err = c.text(name, maxURI)
		faults.add(c.required(name, err))
	}
	return out, faults.err()
}
