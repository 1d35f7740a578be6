package mp1

// NotificationType is the notificationType of every Notification.
const NotificationType = "SerAvailabilityNotification"

// ChangeType says what happened to a service (§8.1.4.2).
type ChangeType string

// What can happen to a service.
const (
	Added             ChangeType = "ADDED"
	Removed           ChangeType = "REMOVED"
	StateChanged      ChangeType = "STATE_CHANGED"      // nothing but the state
	AttributesChanged ChangeType = "ATTRIBUTES_CHANGED" // other attributes, and perhaps the state
)

// Notification tells a subscriber of changes of services: it is
// ServiceAvailabilityNotification (§8.1.4.2).
type Notification struct {
	NotificationType  string             `json:"notificationType"`
	ServiceReferences []ServiceReference `json:"serviceReferences"`
	Links             NotificationLinks  `json:"_links"`
}

// ServiceReference is one change of one service.
type ServiceReference struct {
	Link          *LinkType  `json:"link,omitempty"` // absent exactly when ChangeType is REMOVED
	SerName       string     `json:"serName"`
	SerInstanceID string     `json:"serInstanceId"`
	State         State      `json:"state"` // after the change
	ChangeType    ChangeType `json:"changeType"`
}

// NotificationLinks name the subscription that the notification is sent for.
type NotificationLinks struct {
	Subscription LinkType `json:"subscription"`
}
