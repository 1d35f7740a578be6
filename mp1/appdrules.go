package mp1

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
)

// activate makes a rule that says nothing of its state ACTIVE: MECM's rules have none, and are
// in effect when they are configured.
func (o object) activate() {
	if isEmpty(o.members["state"]) {
		o.members["state"] = string(RuleActive)
	}
}

// activeDNSRule takes any ttl of 32 bits, as EdgeGallery does: a record has MaxTTL at most.
func activeDNSRule(o object) (DNSRule, error) {
	o.activate()
	o.fitID("dnsRuleId")
	if n, ok := o.members["ttl"].(json.Number); ok {
		if ttl, err := strconv.ParseUint(string(n), 10, 32); err == nil && ttl > MaxTTL {
			o.members["ttl"] = json.Number(strconv.Itoa(MaxTTL))
		}
	}
	return completeDNSRule(o)
}

// mecmWords are what MECM's apprulemgr and its portal write for words of MEC 011.
var mecmWords = map[string]string{"DUPLICATED_DECAPSULATED": string(ActionDuplicateDecapsulated), "GTP-U": string(TunnelGTPU)}

// activeTrafficRule takes a rule in MECM's words and spelling: an interface without a type is
// none, the action may have fewer of them than it needs, and a rule without filters has one that
// takes every packet.
func activeTrafficRule(o object) (TrafficRule, error) {
	o.activate()
	o.fitID("trafficRuleId")
	o.translate("action")
	if l, ok := o.members["trafficFilter"].([]any); ok && len(l) == 0 {
		o.members["trafficFilter"] = []any{map[string]any{}}
	}
	for _, f := range o.objects("trafficFilter") {
		if err := f.completeFilter(); err != nil {
			return TrafficRule{}, err
		}
	}
	if l, ok := o.members["dstInterface"].([]any); ok {
		o.members["dstInterface"] = slices.DeleteFunc(l, func(v any) bool {
			m, isObject := v.(map[string]any)
			return v == nil || isObject && isEmpty(m["interfaceType"])
		})
	}
	for _, d := range o.objects("dstInterface") {
		if err := d.completeInterface(); err != nil {
			return TrafficRule{}, err
		}
	}
	return wholeTrafficRule(o)
}

// completeInterface takes a tunnel by the name that apprulemgr writes, in any interface: its
// type has no tag. One that says nothing of its type is none.
func (o object) completeInterface() error {
	if err := o.rename("TunnelInfo", "tunnelInfo"); err != nil {
		return err
	}
	for _, t := range o.objects("tunnelInfo") {
		if t.translate("tunnelType"); isEmpty(t.members["tunnelType"]) && o.members["interfaceType"] != string(InterfaceTunnel) {
			delete(o.members, "tunnelInfo")
		}
	}
	return nil
}

// completeFilter takes a filter by the names of apprulemgr, and as its portal's form makes it: a
// list whose field was left empty has one text without a character.
func (o object) completeFilter() error {
	if err := o.rename("dstTunnelAddress", "tgtTunnelAddress"); err != nil {
		return err
	}
	for name, v := range o.members {
		if l, ok := v.([]any); ok {
			o.members[name] = slices.DeleteFunc(l, func(one any) bool { return one == "" })
		}
	}
	return nil
}

// fitID makes an id of a text that may not be one, such as a name with spaces: what fits of it,
// and a digest, so that two texts stay two ids. MECM calls rules as it likes.
func (o object) fitID(name string) {
	const digest, kept = 4, 64
	s := stringOf(o.members[name])
	if s == "" || ValidID(s) || checkText(name, s, maxText) != nil {
		return
	}
	fit := []byte("rule-")
	for i := 0; i < len(s) && len(fit) < kept; i++ {
		if ValidID(s[i : i+1]) {
			fit = append(fit, s[i])
		}
	}
	sum := sha256.Sum256([]byte(s))
	o.members[name] = string(fit) + "-" + hex.EncodeToString(sum[:digest])
}

// rename gives a member its name in MEC 011. It may not stand under both.
func (o object) rename(from, to string) error {
	v, there := o.members[from]
	if delete(o.members, from); !there || isEmpty(v) {
		return nil
	}
	if !isEmpty(o.members[to]) {
		return &Invalid{o.pathTo(to), "stands twice, the second time as " + from}
	}
	o.members[to] = v
	return nil
}

// translate replaces a word of MECM's.
func (o object) translate(name string) {
	if word := mecmWords[stringOf(o.members[name])]; word != "" {
		o.members[name] = word
	}
}

// objects are the objects in a list, or the one in its place. What is none is left to the decoder.
func (o object) objects(name string) []object {
	l, ok := o.members[name].([]any)
	if !ok {
		l = []any{o.members[name]}
	}
	var out []object
	for _, v := range l {
		if m, ok := v.(map[string]any); ok {
			out = append(out, object{path: o.pathTo(name), members: m})
		}
	}
	return out
}
