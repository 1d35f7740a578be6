package mp1

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
)

// TerminationNotificationType is the notificationType of every TerminationNotification.
const TerminationNotificationType = "AppTerminationNotification"

// OperationAction says what is done to an application instance (§7.1.4.2).
type OperationAction string

// What can be done to an application instance.
const (
	Stopping    OperationAction = "STOPPING"
	Terminating OperationAction = "TERMINATING"
)

// TerminationNotification tells an application that it is about to be terminated: it is
// AppTerminationNotification (§7.1.4.2).
type TerminationNotification struct {
	NotificationType string          `json:"notificationType"`
	OperationAction  OperationAction `json:"operationAction"`
	// MaxGracefulTimeout is how long the platform waits for the confirmation, in seconds, at
	// least 1.
	MaxGracefulTimeout uint32           `json:"maxGracefulTimeout"`
	Links              TerminationLinks `json:"_links"`
}

// TerminationLinks are the links of a TerminationNotification.
type TerminationLinks struct {
	Subscription       LinkType `json:"subscription"`
	ConfirmTermination LinkType `json:"confirmTermination"` // where to confirm that the application is ready to be terminated
}

// ReadyIndication is the only indication of an AppReadyConfirmation (§7.1.4.4).
const ReadyIndication = "READY"

// MaxGraceful is the longest timeout of a graceful termination, in seconds: a day.
const MaxGraceful = 86400

// DecodeReadyConfirmation reads the body of confirm_ready (§7.2.12.3.4): {"indication":
// "READY"}, or the same inside a member AppReadyConfirmation, as ETSI's OpenAPI document has
// it. Unknown members are ignored. Its errors are *Invalid.
func DecodeReadyConfirmation(data []byte) error {
	o, err := confirmation(data, "AppReadyConfirmation", "indication")
	if err != nil {
		return err
	}
	_, err = o.enum("indication", []string{ReadyIndication})
	return o.required("indication", err)
}

// DecodeTerminationConfirmation reads the body of confirm_termination (§7.2.11.3.4) as
// DecodeReadyConfirmation does: the action that the application responds to.
func DecodeTerminationConfirmation(data []byte) (OperationAction, error) {
	o, err := confirmation(data, "AppTerminationConfirmation", "operationAction")
	if err != nil {
		return "", err
	}
	action, err := o.enum("operationAction", []string{string(Stopping), string(Terminating)})
	return OperationAction(action), o.required("operationAction", err)
}

// confirmation is the object that has the member: the body, or what it wraps. A body in which
// it stands at both places could mean two things.
func confirmation(data []byte, wrapper, member string) (object, error) {
	o, err := readDocument(data)
	if err != nil {
		return o, err
	}
	if err := o.refuseOtherCase(wrapper, member); err != nil {
		return o, err
	}
	if o.members[wrapper] == nil {
		return o, nil
	}
	inner, err := o.object(wrapper)
	switch {
	case err != nil:
		return o, err
	case o.members[member] != nil:
		return o, &Invalid{member, "must stand once: in the body, or in " + wrapper}
	}
	return inner, inner.refuseOtherCase(member)
}

// ParseGraceful reads the query of a registration's deletion (§7.2.14.3.5): its one parameter,
// graceful, is an extension and says how many seconds the application has to confirm its
// termination; 0: it is absent. Its errors are *Invalid.
func ParseGraceful(raw string) (seconds uint32, err error) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return 0, unreadableQuery(raw)
	}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if name != graceful {
			return 0, &Invalid{"query", "this resource takes graceful and no other parameter"}
		}
	}
	values := q[graceful]
	switch {
	case len(values) == 0:
		return 0, nil
	case len(values) > 1:
		return 0, &Invalid{graceful, "must be given once"}
	}
	n, err := strconv.ParseUint(values[0], 10, 32)
	if err != nil || n < 1 || n > MaxGraceful {
		return 0, &Invalid{graceful, "must be a whole number of seconds from 1 to 86400; without it the application is removed at once"}
	}
	return uint32(n), nil
}

const graceful = "graceful" // the parameter
