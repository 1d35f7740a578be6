package mp1

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
