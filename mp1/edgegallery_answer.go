package mp1

import (
	"encoding/json"
	"net/url"
)

// EdgeGalleryServiceInfo is a ServiceInfo as it is answered to clients that were written for
// EdgeGallery's platform, and to MEC 011's beside them: nothing of the ServiceInfo is taken
// away. What that platform always has is there, empty if need be, for its portal reads members
// of members without looking whether they are there; and the links name the owner.
type EdgeGalleryServiceInfo struct {
	ServiceInfo
	SerCategory      CategoryRef          `json:"serCategory"`
	TransportID      string               `json:"transportId"`
	TransportInfo    EdgeGalleryTransport `json:"transportInfo"`
	LivenessInterval int                  `json:"livenessInterval"` // seconds; 0: no heartbeats
	Links            EdgeGalleryLinks     `json:"_links"`
}

// EdgeGalleryLinks are the links of a service and the application that it belongs to.
type EdgeGalleryLinks struct {
	ServiceLinks
	AppInstanceID string `json:"appInstanceId"`
}

// EdgeGalleryTransport is a TransportInfo as EdgeGalleryServiceInfo has it.
type EdgeGalleryTransport struct {
	TransportInfo
	Description string              `json:"description"`
	Endpoint    EdgeGalleryEndpoint `json:"endpoint"`
	// Security is SecurityInfo, in which oAuth2Info with both of its members always stands.
	Security map[string]any `json:"security"`
}

// EdgeGalleryEndpoint is an EndPointInfo in which what is absent is null.
type EdgeGalleryEndpoint struct {
	EndPointInfo
	URIs        []string        `json:"uris"`
	Addresses   []Address       `json:"addresses"`
	Alternative json.RawMessage `json:"alternative"`
}

// ForEdgeGallery is an answer with i, a service of owner, for EdgeGallery's clients.
func (i ServiceInfo) ForEdgeGallery(owner string) EdgeGalleryServiceInfo {
	out := EdgeGalleryServiceInfo{ServiceInfo: i, TransportID: i.TransportID, Links: EdgeGalleryLinks{AppInstanceID: owner}}
	if i.SerCategory != nil {
		out.SerCategory = *i.SerCategory
	}
	if i.TransportInfo != nil {
		out.TransportInfo = i.TransportInfo.ForEdgeGallery()
	}
	if i.LivenessInterval != nil {
		out.LivenessInterval = *i.LivenessInterval
	}
	if i.Links != nil {
		out.Links.ServiceLinks = *i.Links
	}
	return out
}

// ForEdgeGallery is t in an answer for EdgeGallery's clients.
func (t TransportInfo) ForEdgeGallery() EdgeGalleryTransport {
	grants := struct {
		GrantTypes    []string `json:"grantTypes"`
		TokenEndpoint string   `json:"tokenEndpoint"`
	}{GrantTypes: []string{}}
	if o := t.Security.OAuth2Info; o != nil {
		grants.GrantTypes, grants.TokenEndpoint = append(grants.GrantTypes, o.GrantTypes...), o.TokenEndpoint
	}
	security := map[string]any{}
	for name, v := range t.Security.Extensions {
		security[name] = v
	}
	security[oauthMember] = grants
	e := t.Endpoint
	return EdgeGalleryTransport{TransportInfo: t, Description: t.Description, Security: security,
		Endpoint: EdgeGalleryEndpoint{EndPointInfo: e, URIs: e.URIs, Addresses: e.Addresses, Alternative: e.Alternative}}
}

// EdgeGalleryTrafficRule is a TrafficRule as EdgeGallery's clients read it: with an array of
// interfaces, however many there are.
type EdgeGalleryTrafficRule struct {
	TrafficRule
	DstInterface []DestinationInterface `json:"dstInterface"`
}

// ForEdgeGallery is r in an answer for EdgeGallery's clients.
func (r TrafficRule) ForEdgeGallery() EdgeGalleryTrafficRule {
	return EdgeGalleryTrafficRule{r, append([]DestinationInterface{}, r.DstInterface...)}
}

// EdgeGalleryTransports are DefaultTransports for EdgeGallery's clients: they say where its
// mepauth gives tokens, behind the same gateway.
func EdgeGalleryTransports() []EdgeGalleryTransport {
	var all []EdgeGalleryTransport
	for _, t := range DefaultTransports() {
		t.Security.OAuth2Info = &OAuth2Info{GrantTypes: []string{"OAUTH2_CLIENT_CREDENTIALS"}, TokenEndpoint: "/mep/token"}
		all = append(all, t.ForEdgeGallery())
	}
	return all
}

// CompleteQuery is the query of a list that was written for EdgeGallery's platform, as MEC 011
// has it: its instance_id is ser_instance_id, and a parameter without a value is absent. What
// cannot be read is returned as it is: to refuse it is the business of ParseQuery.
func CompleteQuery(raw string) string {
	const theirs, ours = "instance_id", "ser_instance_id"
	q, err := url.ParseQuery(raw)
	if raw == "" || err != nil {
		return raw
	}
	for name, values := range q {
		if len(values) == 1 && values[0] == "" {
			delete(q, name)
		}
	}
	if ids, ok := q[theirs]; ok {
		q[ours] = append(q[ours], ids...)
		delete(q, theirs)
	}
	return q.Encode()
}
