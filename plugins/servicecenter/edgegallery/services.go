package edgegallery

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// Service is one service. Its record has no place and no lease yet.
type Service struct {
	Record heartbeat.Record
	Info   mp1.ServiceInfo
}

// instance is what the value of an instance's key says, as far as it concerns us.
type instance struct {
	InstanceID   string            `json:"instanceId"`
	ServiceID    string            `json:"serviceId"`
	Endpoints    []string          `json:"endpoints"`
	Properties   map[string]string `json:"properties"`
	Timestamp    string            `json:"timestamp"`
	ModTimestamp string            `json:"modTimestamp"`
}

const halfID = 16 // hex digits of a serviceId and of an instanceId there

func isHalf(s string) bool { return len(s) == halfID && strings.Trim(s, "0123456789abcdef") == "" }

func (c *converter) service(rest string, kv *mvccpb.KeyValue) error {
	var i instance
	service, id, _ := strings.Cut(rest, "/")
	if !isHalf(service) || !isHalf(id) {
		return errors.New("names no service: its id is not two times 16 hex digits")
	}
	if err := json.Unmarshal(kv.Value, &i); err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	owner := i.Properties["appInstanceId"]
	switch {
	case i.ServiceID != service || i.InstanceID != id:
		return errors.New("holds another service than its key says")
	case owner == "":
		return errors.New("says of no application that it is its own")
	case !mp1.ValidID(owner):
		return errors.New("belongs to an application whose id must be " + mp1.IDForm)
	case c.instances[id]:
		return errors.New("has the instanceId of another service")
	}
	s := Service{Record: heartbeat.Record{Schema: heartbeat.Schema, ID: heartbeat.ID(service + id), Owner: owner, Seq: 1, Proposed: -1}}
	if err := c.record(&s.Record, &i); err != nil {
		return err
	}
	uris, names := i.published()
	var err error
	if s.Info, err = i.info(uris); err != nil {
		if s.Info, err = i.info(nil); err != nil {
			return fmt.Errorf("is no service that can be registered: %w", err)
		}
		c.note("service %s of application %s is imported without its endpoints, which are none", s.Record.ID, owner)
		names = nil
	}
	c.instances[id] = true
	c.Services = append(c.Services, s)
	c.Report.States[s.Record.State]++
	if len(names) > 0 {
		c.Report.Published += len(names)
		c.Gateway = append(c.Gateway, plugins.GatewayEntries{ID: s.Record.ID, Names: names})
	}
	return nil
}

// record takes state, interval and times over. There is one way there into each state that is not
// ACTIVE, and the instance says it.
func (c *converter) record(r *heartbeat.Record, i *instance) error {
	switch state := mp1.State(i.Properties["mecState"]); state {
	case mp1.Active:
		r.State = heartbeat.Active
	case mp1.Inactive:
		r.State, r.Cause.Kind = heartbeat.Inactive, heartbeat.ByApplication
	case mp1.Suspended:
		r.State, r.Cause.Kind = heartbeat.Suspended, heartbeat.BySilence
	default:
		return fmt.Errorf("has the state %q", state)
	}
	now := c.now.UnixNano()
	seconds := func(text string) int64 { // 0: it says no time, or one to come
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || n > c.now.Unix() {
			return 0
		}
		return n * int64(time.Second)
	}
	r.LastBeat = seconds(i.Properties["timestamp/seconds"])
	if n, err := strconv.ParseInt(i.Properties["timestamp/nanoseconds"], 10, 64); err == nil && r.LastBeat > 0 && n > 0 && n < int64(time.Second) {
		r.LastBeat = min(r.LastBeat+n, now)
	}
	if r.RegisteredAt = seconds(i.Timestamp); r.RegisteredAt == 0 {
		r.RegisteredAt = now
	}
	if r.LastBeat == 0 {
		r.LastBeat = r.RegisteredAt
	}
	r.ChangedAt = max(seconds(i.ModTimestamp), r.RegisteredAt)
	interval := i.Properties["livenessInterval"]
	if n, err := strconv.Atoi(interval); interval != "" && (err != nil || n < 0) {
		return fmt.Errorf("has the livenessInterval %q", interval)
	} else if n > 0 {
		r.Proposed, r.Interval, r.Window = Interval, Interval, c.window
	}
	if r.State == heartbeat.Suspended {
		if r.Interval == 0 {
			return errors.New("is SUSPENDED and sends no heartbeats")
		}
		r.SuspendedAt = min(r.LastBeat+int64(silentAfter), now)
		r.ChangedAt = max(r.ChangedAt, r.SuspendedAt)
	}
	return nil
}

const endpointProperty = "endpoint/"

// published are the endpoints as the service was registered with them, in their order, and what
// the gateway calls each. An instance tells consumers the gateway's addresses only.
func (i *instance) published() (uris []string, names map[string]string) {
	place := map[string]int{}
	for n, e := range i.Endpoints {
		place[e[strings.LastIndex(e, "/")+1:]] = n + 1
	}
	for property, name := range i.Properties {
		if uri, ok := strings.CutPrefix(property, endpointProperty); ok && uri != "" {
			uris = append(uris, uri)
			if _, ok := plugins.GatewayName(name); ok {
				if names == nil {
					names = map[string]string{}
				}
				names[uri] = name
			}
		}
	}
	slices.SortFunc(uris, func(a, b string) int {
		x, y := place[i.Properties[endpointProperty+a]], place[i.Properties[endpointProperty+b]]
		if x == y {
			return strings.Compare(a, b)
		}
		return x - y
	})
	return uris, names
}

// grantComma is what stands between grant types there: a comma that is as wide as two letters.
const grantComma = "，"

// info is the service as its application registered it, held to the rules of a registration.
func (i *instance) info(uris []string) (mp1.ServiceInfo, error) {
	p := i.Properties
	endpoint := map[string]any{"uris": uris}
	if p["endPointType"] == "alternative" && len(i.Endpoints) > 0 && json.Valid([]byte(i.Endpoints[0])) && len(uris) == 0 {
		endpoint = map[string]any{"alternative": json.RawMessage(i.Endpoints[0])}
	}
	var grants []string
	if g := p["transportInfo/security/oAuth2Info/grantTypes"]; g != "" {
		grants = strings.FieldsFunc(g, func(r rune) bool { return string(r) == grantComma || r == ',' })
	}
	body := map[string]any{
		"serName": p["serName"], "version": p["version"], "state": mp1.Active, "serializer": p["serializer"],
		"serCategory": map[string]any{"href": p["serCategory/href"], "id": p["serCategory/id"], "name": p["serCategory/name"], "version": p["serCategory/version"]},
		"transportInfo": map[string]any{"id": p["transportInfo/id"], "name": p["transportInfo/name"], "description": p["transportInfo/description"],
			"type": p["transportInfo/type"], "protocol": p["transportInfo/protocol"], "version": p["transportInfo/version"], "endpoint": endpoint,
			"security": map[string]any{"oAuth2Info": map[string]any{"grantTypes": grants, "tokenEndpoint": p["transportInfo/security/oAuth2Info/tokenEndpoint"]}}},
	}
	if scope := p["ScopeOfLocality"]; scope != "" {
		body["scopeOfLocality"] = scope
	}
	if local, err := strconv.ParseBool(p["ConsumedLocalOnly"]); err == nil {
		body["consumedLocalOnly"] = local
	}
	text, err := json.Marshal(body)
	if err != nil {
		return mp1.ServiceInfo{}, err
	}
	info, err := mp1.DecodeServiceInfo(mp1.CompleteRegistration(text))
	if err != nil {
		return mp1.ServiceInfo{}, err
	}
	// A label that cannot be kept is no reason to leave the service out.
	label, err := json.Marshal(map[string]string{"transportId": p["transportId"]})
	info.TransportID = mp1.TransportIDOf(label)
	return info, err
}
