package agent

// stage is where one service stands between the application and the platform. It
// decides which request is sent next, and changes by the table of transitions only.
type stage uint8

// The stages; the table below says what each means. The zero value is none of them, so
// that a cell left out of the table of transitions is seen as such.
const (
	searching stage = iota + 1
	registering
	updating
	beating
	verifying
	checking
	inactive
	unmonitored
	withdrawing
	removing
	deregistered
)

var stages = [...]struct {
	name    string
	status  string // what Status.State says
	request string // what is sent in this stage
	meaning string
}{
	searching:    {"searching", "searching", "GET services, once for all that are searching", "it may be registered already, by an agent before this one or beside it, or by a POST whose answer was lost"},
	registering:  {"registering", "registering", "POST services", "the platform does not have it"},
	updating:     {"updating", "updating", "PUT services/{id}", "the platform has it otherwise than it is configured"},
	beating:      {"beating", "beating", "PATCH liveness, or POST heartbeats with those of other services", "registered; heartbeats are sent"},
	verifying:    {"verifying", "beating", "GET liveness", "a heartbeat was taken; the liveness resource should show it"},
	checking:     {"checking", "checking", "GET liveness", "a heartbeat was refused; the liveness resource says why"},
	inactive:     {"inactive", "inactive", "GET liveness, once an interval", "the application has set it INACTIVE, or an operator has drained it: a heartbeat would be refused"},
	unmonitored:  {"unmonitored", "no heartbeats", "GET services/{id} every 30 s, if the platform keeps agents; PUT services/{id} if an update failed", "registered; the platform requires no heartbeats"},
	withdrawing:  {"withdrawing", "withdrawing", "DELETE services/{id}", "two agents have registered it at once, and this one's is removed; the other is joined then"},
	removing:     {"removing", "removing", "DELETE services/{id}", "the application has taken it back, and the platform has it still"},
	deregistered: {"deregistered", "deregistered", "none", "this agent has removed it, or has left it to another one: nothing comes after it"},
}

func (s stage) String() string { return stages[s].name }
