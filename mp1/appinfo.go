package mp1

import "encoding/json"

// AppInfo describes an application instance that registers at the platform (§7.1.2.6).
type AppInfo struct {
	AppName     string       `json:"appName"`
	AppProvider string       `json:"appProvider,omitempty"`
	AppCategory *CategoryRef `json:"appCategory,omitempty"`
	AppDID      string       `json:"appDId,omitempty"`
	// AppInstanceID may be absent in a registration: then the platform chooses one.
	AppInstanceID      string              `json:"appInstanceId,omitempty"`
	Endpoint           *EndPointInfo       `json:"endpoint,omitempty"`
	AppServiceRequired []ServiceDependency `json:"appServiceRequired,omitempty"`
	AppServiceOptional []ServiceDependency `json:"appServiceOptional,omitempty"`
	AppFeatureRequired []FeatureDependency `json:"appFeatureRequired,omitempty"`
	AppFeatureOptional []FeatureDependency `json:"appFeatureOptional,omitempty"`
	// IsInsByMec says that the MEC management instantiated the application. Absent means
	// false.
	IsInsByMec *bool `json:"isInsByMec,omitempty"`
	// AppProfile is an object of another standard (TS 129 558), kept as text.
	AppProfile json.RawMessage `json:"appProfile,omitempty"`
}

// ServiceDependency is a service that an application needs or can use (MEC 010-2).
// What it says of transports and permissions is kept as it was sent.
type ServiceDependency struct {
	SerName                  string            `json:"serName"`
	SerCategory              *CategoryRef      `json:"serCategory,omitempty"`
	Version                  string            `json:"version"`
	SerTransportDependencies []json.RawMessage `json:"serTransportDependencies,omitempty"`
	RequestedPermissions     json.RawMessage   `json:"requestedPermissions,omitempty"`
}

// FeatureDependency is a feature that an application needs or can use (MEC 010-2).
type FeatureDependency struct {
	FeatureName string `json:"featureName"`
	Version     string `json:"version"`
}

// maxDependencies is the most entries of one list of dependencies.
const maxDependencies = 100

var (
	appMembers = []string{"appName", "appProvider", "appCategory", "appDId", "appInstanceId", "endpoint", "appServiceRequired", "appServiceOptional",
		"appFeatureRequired", "appFeatureOptional", "isInsByMec", "appProfile"}
	serviceDependencyMembers = []string{"serName", "serCategory", "version", "serTransportDependencies", "requestedPermissions"}
	featureDependencyMembers = []string{"featureName", "version"}
)

// DecodeAppInfo reads the body of an application's registration or of its update
// (§7.2.13.3.4, §7.2.14.3.2). Unknown members and null are treated as by
// DecodeServiceInfo. Its errors are *Invalid.
func DecodeAppInfo(data []byte) (AppInfo, error) {
	o, err := readDocument(data)
	if err != nil {
		return AppInfo{}, err
	}
	out, err := decodeApp(o)
	if err == nil {
		err = out.validate()
	}
	if err != nil {
		return AppInfo{}, err
	}
	return out, nil
}

func decodeApp(o object) (out AppInfo, err error) {
	if err = o.refuseOtherCase(appMembers...); err != nil {
		return out, err
	}
	if out.AppName, err = o.requiredText("appName", maxText); err != nil {
		return out, err
	}
	for _, f := range []struct {
		name string
		to   *string
	}{{"appProvider", &out.AppProvider}, {"appDId", &out.AppDID}, {"appInstanceId", &out.AppInstanceID}} {
		if *f.to, err = o.text(f.name, maxText); ignoreAbsent(err) != nil {
			return out, err
		}
	}
	if out.AppCategory, err = decodeCategory(o, "appCategory"); err != nil {
		return out, err
	}
	if o.members["endpoint"] != nil {
		e, err := decodeEndpoint(o)
		if err != nil {
			return out, err
		}
		out.Endpoint = &e
	}
	if out.AppServiceRequired, err = decodeDependencies(o, "appServiceRequired", decodeServiceDependency); err != nil {
		return out, err
	}
	if out.AppServiceOptional, err = decodeDependencies(o, "appServiceOptional", decodeServiceDependency); err != nil {
		return out, err
	}
	if out.AppFeatureRequired, err = decodeDependencies(o, "appFeatureRequired", decodeFeatureDependency); err != nil {
		return out, err
	}
	if out.AppFeatureOptional, err = decodeDependencies(o, "appFeatureOptional", decodeFeatureDependency); err != nil {
		return out, err
	}
	if out.IsInsByMec, err = o.boolean("isInsByMec"); err != nil {
		return out, err
	}
	out.AppProfile, err = o.rawObject("appProfile")
	return out, err
}

// validate checks the members against each other (§7.1.2.6). An application that the MEC
// management instantiates has an application descriptor, and the dependencies stand there.
// An application that says it has none, or that lists dependencies itself, must say at
// which endpoint it is reached.
func (a *AppInfo) validate() error {
	lists := map[string]int{"appServiceRequired": len(a.AppServiceRequired), "appServiceOptional": len(a.AppServiceOptional),
		"appFeatureRequired": len(a.AppFeatureRequired), "appFeatureOptional": len(a.AppFeatureOptional)}
	byMec := a.IsInsByMec != nil && *a.IsInsByMec
	own := false
	for _, name := range appMembers {
		if lists[name] == 0 {
			continue
		}
		own = true
		if a.AppDID != "" || byMec {
			return &Invalid{name, "must not be given when there is an application descriptor"}
		}
	}
	switch {
	case a.AppInstanceID != "" && !ValidID(a.AppInstanceID):
		return CheckID("appInstanceId", a.AppInstanceID)
	case byMec && a.AppDID == "":
		return &Invalid{"appDId", "is mandatory when isInsByMec is true"}
	case byMec && a.AppInstanceID == "":
		return &Invalid{"appInstanceId", "is mandatory when isInsByMec is true"}
	case !byMec && a.Endpoint == nil && (a.IsInsByMec != nil || own):
		return &Invalid{"endpoint", "is mandatory when isInsByMec is false, and with dependencies of the application's own"}
	}
	return nil
}

func decodeDependencies[T any](o object, name string, read func(object) (T, error)) ([]T, error) {
	l, err := o.list(name)
	if err != nil {
		return nil, err
	}
	if len(l) > maxDependencies {
		return nil, &Invalid{o.pathTo(name), "must not have more than 100 entries"}
	}
	var out []T
	for _, v := range l {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, &Invalid{o.pathTo(name), "must be an array of objects"}
		}
		one, err := read(object{path: o.pathTo(name), members: m})
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func decodeServiceDependency(o object) (out ServiceDependency, err error) {
	if err = o.refuseOtherCase(serviceDependencyMembers...); err != nil {
		return out, err
	}
	if out.SerName, err = o.requiredText("serName", maxText); err != nil {
		return out, err
	}
	if out.Version, err = o.requiredText("version", maxText); err != nil {
		return out, err
	}
	if out.SerCategory, err = decodeCategory(o, "serCategory"); err != nil {
		return out, err
	}
	l, err := o.list("serTransportDependencies")
	if err != nil {
		return out, err
	}
	for _, v := range l {
		if _, ok := v.(map[string]any); !ok {
			return out, &Invalid{o.pathTo("serTransportDependencies"), "must be an array of objects"}
		}
		one, err := rawValue(o.pathTo("serTransportDependencies"), v)
		if err != nil {
			return out, err
		}
		out.SerTransportDependencies = append(out.SerTransportDependencies, one)
	}
	if v := o.members["requestedPermissions"]; v != nil { // its form is not standardised yet
		out.RequestedPermissions, err = rawValue(o.pathTo("requestedPermissions"), v)
	}
	return out, err
}

func decodeFeatureDependency(o object) (out FeatureDependency, err error) {
	if err = o.refuseOtherCase(featureDependencyMembers...); err != nil {
		return out, err
	}
	if out.FeatureName, err = o.requiredText("featureName", maxText); err != nil {
		return out, err
	}
	out.Version, err = o.requiredText("version", maxText)
	return out, err
}
