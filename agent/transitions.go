package agent

import "fmt"

// event is what can happen to a service. Most are answers of the platform.
type event uint8

// The events; the table below says what each means.
const (
	adopted event = iota
	adoptedInactive
	adoptedUnmonitored
	notListed
	listOutdated
	registerFailed
	registerUnclear
	updateDue
	updateFailed
	updateFailedInactive
	updateFailedUnmonitored
	heartbeatTaken
	verifyDue
	heartbeatRefused
	heartbeatFailed
	shownAlive
	shownInactive
	livenessFailed
	doubled
	withdrawn
	gone
	woken
	removeDue
	removed
)

var events = [...]struct{ name, meaning string }{
	adopted:                 {"adopted", "the answer to a list, POST, PUT or GET shows the registration; heartbeats are required"},
	adoptedInactive:         {"adopted INACTIVE", "the same, and its state is INACTIVE"},
	adoptedUnmonitored:      {"adopted without heartbeats", "the same, and no heartbeats are required"},
	notListed:               {"not listed", "the list does not have it, or was refused for good"},
	listOutdated:            {"list outdated", "the list that did not show it is too old for a POST by now"},
	registerFailed:          {"POST failed", "it was certainly not carried out"},
	registerUnclear:         {"POST unclear", "it failed, and may have been carried out"},
	updateDue:               {"update due", "the platform has it otherwise than it is configured, and it is time to PUT"},
	updateFailed:            {"PUT failed", "any error but 404, of the DELETE of a double too; heartbeats are required"},
	updateFailedInactive:    {"PUT failed while INACTIVE", "any error but 404; heartbeats are required, and it is INACTIVE"},
	updateFailedUnmonitored: {"PUT failed without heartbeats", "any error but 404; no heartbeats are required"},
	heartbeatTaken:          {"heartbeat taken", "200 or 204"},
	verifyDue:               {"verification due", "the liveness resource is to be read after the heartbeat that was taken"},
	heartbeatRefused:        {"heartbeat refused", "404 or 409"},
	heartbeatFailed:         {"heartbeat failed", "any other answer, or none in time"},
	shownAlive:              {"shown alive", "the liveness resource says ACTIVE or SUSPENDED"},
	shownInactive:           {"shown INACTIVE", "the liveness resource says INACTIVE"},
	livenessFailed:          {"liveness unreadable", "the liveness resource cannot be read"},
	doubled:                 {"doubled", "a list shows it twice, and the other one stays"},
	withdrawn:               {"withdrawn", "the DELETE of the double succeeded, or another agent keeps it"},
	gone:                    {"gone", "404 for the liveness resource, the service or a PUT"},
	woken:                   {"woken", "a heartbeat is due at once, for the clock jumped or the probe succeeds again"},
	removeDue:               {"remove due", "the application has taken it back"},
	removed:                 {"removed", "DELETE, because the agent stops or the application has taken it back; or there was nothing to DELETE"},
}

func (e event) String() string { return events[e].name }

// byStage holds a stage for each stage.
type byStage [len(stages)]stage

// transition is one row of the table: where an event leads from each stage.
type transition struct {
	from byStage // 0: the event is not expected in that stage
	// late is where the event leads when it is not expected, 0 if the stage stays. Two
	// requests of one service would have to be under way, and the answer to one to come after
	// the other had changed the stage. The platform's last word counts.
	late stage
}

var transitions = [len(events)]transition{
	adopted:            {from: byStage{searching: beating, registering: beating, updating: beating, unmonitored: beating}, late: beating},
	adoptedInactive:    {from: byStage{searching: inactive, registering: inactive, updating: inactive, unmonitored: inactive}, late: inactive},
	adoptedUnmonitored: {from: byStage{searching: unmonitored, registering: unmonitored, updating: unmonitored, unmonitored: unmonitored}, late: unmonitored},

	notListed:       {from: byStage{searching: registering}, late: registering},
	listOutdated:    {from: byStage{registering: searching}},
	registerFailed:  {from: byStage{registering: registering}},
	registerUnclear: {from: byStage{registering: searching}, late: searching},

	updateDue:               {from: byStage{beating: updating, inactive: updating, unmonitored: updating}, late: updating},
	updateFailed:            {from: byStage{updating: beating, withdrawing: beating}, late: beating},
	updateFailedInactive:    {from: byStage{updating: inactive, withdrawing: inactive}, late: inactive},
	updateFailedUnmonitored: {from: byStage{updating: unmonitored, unmonitored: unmonitored, withdrawing: unmonitored}, late: unmonitored},

	heartbeatTaken:   {from: byStage{beating: beating}},
	verifyDue:        {from: byStage{beating: verifying}, late: verifying},
	heartbeatRefused: {from: byStage{beating: checking}, late: checking},
	heartbeatFailed:  {from: byStage{beating: beating}},

	shownAlive:     {from: byStage{verifying: beating, checking: beating, inactive: beating}, late: beating},
	shownInactive:  {from: byStage{verifying: inactive, checking: inactive, inactive: inactive}, late: inactive},
	livenessFailed: {from: byStage{verifying: beating, checking: checking, inactive: inactive}},
	doubled: {from: byStage{updating: withdrawing, beating: withdrawing, verifying: withdrawing,
		checking: withdrawing, inactive: withdrawing, unmonitored: withdrawing}},
	withdrawn: {from: byStage{withdrawing: searching}},

	gone: {from: byStage{updating: searching, verifying: searching, checking: searching, inactive: searching, unmonitored: searching}, late: searching},

	woken: {from: byStage{searching: searching, registering: registering, updating: updating, beating: beating,
		verifying: beating, checking: checking, inactive: inactive, unmonitored: unmonitored, withdrawing: withdrawing, removing: removing}},
	removeDue: {from: byStage{updating: removing, beating: removing, verifying: removing, checking: removing, inactive: removing,
		unmonitored: removing, withdrawing: removing}, late: removing},
	removed: {from: byStage{registering: deregistered, updating: deregistered, beating: deregistered, verifying: deregistered,
		checking: deregistered, inactive: deregistered, unmonitored: deregistered, withdrawing: deregistered, removing: deregistered}, late: deregistered},
}

// nextStage is the table: total, pure, and the only place that says where an event leads.
// It panics for a stage or an event that there is not.
func nextStage(from stage, e event) stage {
	if from == 0 || int(from) >= len(stages) || int(e) >= len(events) {
		panic(fmt.Sprintf("agent: no stage %d or no event %d", from, e))
	}
	t := transitions[e]
	switch {
	case from == deregistered: // final: what is still under way must not bring it back
	case t.from[from] != 0:
		return t.from[from]
	case t.late != 0:
		return t.late
	}
	return from
}
