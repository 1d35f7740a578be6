package mp1

import (
	"fmt"
	"slices"
)

// TrafficRule says what becomes of packets (§7.1.2.2).
type TrafficRule struct {
	TrafficRuleID string                `json:"trafficRuleId"`
	FilterType    FilterType            `json:"filterType"`
	Priority      int                   `json:"priority"` // 0 (the highest) to 255
	TrafficFilter []TrafficFilter       `json:"trafficFilter"`
	Action        TrafficAction         `json:"action"`
	DstInterface  DestinationInterfaces `json:"dstInterface,omitempty"`
	State         RuleState             `json:"state"`
}

// FilterType says whether a filter is for flows or for single packets.
type FilterType string

// The types of filters. FLOW also matches the packets of the other direction.
const (
	FilterFlow   FilterType = "FLOW"
	FilterPacket FilterType = "PACKET"
)

// TrafficAction is what the data plane does with a packet that matches.
type TrafficAction string

// The actions.
const (
	ActionDrop                  TrafficAction = "DROP"
	ActionForwardDecapsulated   TrafficAction = "FORWARD_DECAPSULATED"
	ActionForwardEncapsulated   TrafficAction = "FORWARD_ENCAPSULATED"
	ActionPassthrough           TrafficAction = "PASSTHROUGH"
	ActionDuplicateDecapsulated TrafficAction = "DUPLICATE_DECAPSULATED"
	ActionDuplicateEncapsulated TrafficAction = "DUPLICATE_ENCAPSULATED"
)

// interfaces is how many destination interfaces each action has.
var interfaces = map[TrafficAction]int{ActionDrop: 0, ActionForwardDecapsulated: 1, ActionForwardEncapsulated: 1, ActionPassthrough: 1,
	ActionDuplicateDecapsulated: 2, ActionDuplicateEncapsulated: 2}

// formerActions are the names that EdgeGallery has, from before v2.1.1, for two actions.
var formerActions = map[string]TrafficAction{"FORWARD_AS_IS": ActionForwardEncapsulated, "DUPLICATE_AS_IS": ActionDuplicateEncapsulated}

var (
	trafficRuleMembers = []string{"trafficRuleId", "filterType", "priority", "trafficFilter", "action", "dstInterface", "state"}
	filterTypes        = []string{string(FilterFlow), string(FilterPacket)}
	trafficActions     = []string{string(ActionDrop), string(ActionForwardDecapsulated), string(ActionForwardEncapsulated), string(ActionPassthrough),
		string(ActionDuplicateDecapsulated), string(ActionDuplicateEncapsulated)}
)

const (
	maxPriority = 255
	// maxFilters is the most filters of one traffic rule. EdgeGallery has 16.
	maxFilters = 64
)

// TrafficRuleUpdate is what a PUT of a traffic rule says (§7.2.8.3.2): the members that it has.
// The others stay as they are.
type TrafficRuleUpdate struct {
	TrafficRuleID string // of no meaning
	FilterType    FilterType
	Priority      *int
	TrafficFilter []TrafficFilter // nil: absent
	Action        TrafficAction
	DstInterface  DestinationInterfaces // nil: absent
	State         RuleState
}

// DecodeTrafficRuleUpdate reads the body of a PUT of a traffic rule. Clients made from ETSI's
// OpenAPI v3.1.1 wrap it in a member TrafficRule. A body without any member of a rule is
// refused: its sender meant something else. Its errors are *Invalid.
func DecodeTrafficRuleUpdate(data []byte) (u TrafficRuleUpdate, err error) {
	o, err := readRule(data, "TrafficRule", trafficRuleMembers)
	if err != nil {
		return u, err
	}
	return decodeTrafficRule(o)
}

// readRule reads a document that is a rule, or has one as its only member of the name wrapper.
func readRule(data []byte, wrapper string, members []string) (object, error) {
	o, err := readDocument(data)
	if err != nil {
		return o, err
	}
	isMember := func(name string) bool { return o.members[name] != nil }
	if isMember(wrapper) && !slices.ContainsFunc(members, isMember) {
		if o, err = o.object(wrapper); err != nil {
			return o, err
		}
	}
	if err = o.refuseOtherCase(members...); err != nil {
		return o, err
	}
	if !slices.ContainsFunc(members, isMember) {
		return o, &Invalid{o.path, "the body must have at least one member of a " + wrapper}
	}
	return o, nil
}

// decodeTrafficRule reads the members that are there.
func decodeTrafficRule(o object) (u TrafficRuleUpdate, err error) {
	if u.TrafficRuleID, err = o.optionalID("trafficRuleId"); err != nil {
		return u, err
	}
	kind, err := o.optionalEnum("filterType", filterTypes)
	if err != nil {
		return u, err
	}
	u.FilterType = FilterType(kind)
	if u.Priority, err = o.wholeNumber("priority", maxPriority); err != nil {
		return u, err
	}
	if u.TrafficFilter, err = decodeFilters(o); err != nil {
		return u, err
	}
	if u.Action = formerActions[stringOf(o.members["action"])]; u.Action == "" {
		action, err := o.optionalEnum("action", trafficActions)
		if err != nil {
			return u, err
		}
		u.Action = TrafficAction(action)
	}
	if u.DstInterface, err = decodeDestinations(o); err != nil {
		return u, err
	}
	state, err := o.optionalEnum("state", ruleStates)
	u.State = RuleState(state)
	return u, err
}

func stringOf(v any) string {
	s, _ := v.(string)
	return s
}

// Applied is the rule as the update leaves it, or *Invalid: there must be as many interfaces as
// the action has. The URI says which rule is meant, whatever id the body has: the suites of ETSI
// send another and want 200 (TC_MEC_SRV_TRAF_003_OK).
func (u TrafficRuleUpdate) Applied(to TrafficRule) (TrafficRule, error) {
	was := to
	if u.FilterType != "" {
		to.FilterType = u.FilterType
	}
	if u.Priority != nil {
		to.Priority = *u.Priority
	}
	if u.TrafficFilter != nil {
		to.TrafficFilter = u.TrafficFilter
	}
	if u.Action != "" {
		to.Action = u.Action
	}
	if u.DstInterface != nil {
		to.DstInterface = u.DstInterface
	}
	if u.State != "" {
		to.State = u.State
	}
	if to.Action == was.Action && u.DstInterface == nil { // as they were defined, which may be too few (DecodeAppDConfiguration)
		return to, nil
	}
	return to, to.checkInterfaces("dstInterface")
}

// checkInterfaces counts the interfaces (§7.1.2.2). DROP has none; what is sent for it all the
// same, as ETSI's own test data has it, means nothing and is left out.
func (r *TrafficRule) checkInterfaces(path string) error {
	want := interfaces[r.Action]
	if want == 0 {
		r.DstInterface = nil
		return nil
	}
	if len(r.DstInterface) != want {
		return &Invalid{path, fmt.Sprintf("must have %d for the action %s: one as an object, two as an array", want, r.Action)}
	}
	return nil
}

// completeTrafficRule is the rule that a definition says, all of whose mandatory members must be
// there. state may be absent: the rule waits for its application to activate it.
func completeTrafficRule(o object) (r TrafficRule, err error) {
	if r, err = wholeTrafficRule(o); err != nil {
		return r, err
	}
	return r, r.checkInterfaces(o.pathTo("dstInterface"))
}

// wholeTrafficRule is completeTrafficRule, however many interfaces there are.
func wholeTrafficRule(o object) (r TrafficRule, err error) {
	u, err := decodeTrafficRule(o)
	if err != nil {
		return r, err
	}
	for _, m := range []struct {
		name   string
		absent bool
	}{{"trafficRuleId", u.TrafficRuleID == ""}, {"filterType", u.FilterType == ""}, {"priority", u.Priority == nil},
		{"trafficFilter", u.TrafficFilter == nil}, {"action", u.Action == ""}} {
		if m.absent {
			return r, o.required(m.name, errAbsent)
		}
	}
	r = TrafficRule{TrafficRuleID: u.TrafficRuleID, FilterType: u.FilterType, Priority: *u.Priority, TrafficFilter: u.TrafficFilter, Action: u.Action,
		DstInterface: u.DstInterface, State: u.State}
	if r.State == "" {
		r.State = RuleInactive
	}
	return r, nil
}
