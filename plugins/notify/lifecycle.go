package notify

import "fmt"

// stage is how far an event has got on its way to one subscription. The table of
// transitions alone decides which stage comes next.
type stage uint8

// The stages; the table below says what each means. The zero value is none of them, so
// that a cell left out of the table of transitions is seen as such.
const (
	stageQueued stage = iota + 1
	stageSending
	stageRetrying
	stageSuperseded
	stageDelivered
	stageGivenUp
	stageConsumerGone
	stageShed
	stageSkipped
)

var stages = [...]struct {
	name    string
	final   bool   // nothing is sent or retained for it any more
	meaning string // for the documentation
}{
	stageQueued:       {"queued", false, "it waits for the POST before it, for others to be sent with it, or until it is put off no longer because its instance flaps"},
	stageSending:      {"sending", false, "it is in the next POST, which this replica has not attempted yet"},
	stageRetrying:     {"retrying", false, "it is in the next POST, of which an attempt by this replica failed"},
	stageSuperseded:   {"superseded", false, "a newer event of the same instance is sent in its place; the store retains it until the cursor says so"},
	stageDelivered:    {"delivered", true, "the consumer acknowledged it, by a 2xx or by the pong behind it"},
	stageGivenUp:      {"given up", true, "it is older than notify.giveUpAfter, and an attempt failed or its consumer has no WebSocket open"},
	stageConsumerGone: {"consumer gone", true, "the consumer answered 410 Gone to it or to one before it"},
	stageShed:         {"shed", true, "more was retained than notify.keptBytes or notify.keptBytesInAll"},
	stageSkipped:      {"skipped", true, "it was superseded, and the cursor is past it or leaves it out"},
}

func (s stage) String() string { return stages[s].name }

// cause is what moves an event from one stage to another.
type cause uint8

const (
	grouped cause = iota
	leftOut
	ungrouped
	newerEvent
	attemptFailed
	acknowledged
	refusedAsGone
	expired
	limitExceeded
	cursorPassed
)

// causes are the rows of the table of transitions: from which stage an event gets to which.
// There is no other way: what is not here must not happen, and next panics.
var causes = [...]struct {
	name    string
	meaning string // for the documentation
	lost    bool   // the event is counted as lost
	to      [len(stages)]stage
}{
	grouped: {"grouped", "the next POST is composed", false, [len(stages)]stage{
		stageQueued: stageSending}},
	leftOut: {"left out", "the cursor says that a sender before this one left it out", false, [len(stages)]stage{
		stageQueued: stageSkipped}},
	ungrouped: {"ungrouped", "a sender before this one composed the next POST without it", false, [len(stages)]stage{
		stageQueued: stageSuperseded}},
	newerEvent: {"newer event", "behind a failed attempt, over a limit, or of an instance that flaps only the newest event is sent", true, [len(stages)]stage{
		stageQueued: stageSuperseded}},
	attemptFailed: {"attempt failed", "any outcome but a 2xx and a 410; it is repeated when the wait is over", false, [len(stages)]stage{
		stageSending: stageRetrying, stageRetrying: stageRetrying}},
	acknowledged: {"2xx", "the consumer has it", false, [len(stages)]stage{
		stageSending: stageDelivered, stageRetrying: stageDelivered}},
	refusedAsGone: {"410", "the consumer wants nothing any more; the cursor says so for ever", true, [len(stages)]stage{
		stageQueued: stageConsumerGone, stageSending: stageConsumerGone, stageRetrying: stageConsumerGone}},
	expired: {"expired", "all events of the POST are older than notify.giveUpAfter", true, [len(stages)]stage{
		stageSending: stageGivenUp, stageRetrying: stageGivenUp}},
	limitExceeded: {"limit exceeded", "the oldest events go first, until less is retained", true, [len(stages)]stage{
		stageQueued: stageShed, stageSending: stageShed, stageRetrying: stageShed}},
	cursorPassed: {"cursor passed", "the cursor is about to be written that leaves it behind or out", false, [len(stages)]stage{
		stageSuperseded: stageSkipped}},
}

func (c cause) String() string { return causes[c].name }

// nextStage is where an event gets from a stage by a cause.
func nextStage(from stage, by cause) stage {
	to := causes[by].to[from]
	if to == 0 {
		panic(fmt.Sprintf("notify: an event that is %s cannot be %s", from, by))
	}
	return to
}

// batch are events that are in the same stage.
type batch struct {
	in     stage
	events []*message
}

// transition takes events to their next stage, which it returns. It releases those whose
// stage is final, holds those that are superseded until the cursor has passed them, and
// reports those that are lost, all batches in one call.
func (q *queue) transition(by cause, batches ...batch) (to stage) {
	var lost []*message
	for _, b := range batches {
		if len(b.events) == 0 {
			continue
		}
		to = nextStage(b.in, by)
		if q.transitioned != nil {
			q.transitioned(b.in, by)
		}
		switch {
		case stages[to].final:
			q.release(b.events)
		case to == stageSuperseded:
			q.superseded = append(q.superseded, b.events...)
		}
		lost = append(lost, b.events...)
	}
	if causes[by].lost && q.lost != nil && len(lost) > 0 {
		q.lost(to, lost)
	}
	return to
}
