package operate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mec-liveness/mepserver/cmd/terminal"
)

// PrintServices prints services as a table, wide with what does not fit into a terminal, and
// below it how the platform is.
func PrintServices(out io.Writer, all *State, wide bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := "STATE\tSINCE\tAPP\tSERVICE\tLAST-BEAT\tINTERVAL\tDEADLINE\t"
	if wide {
		head += "ID\tVERSION\tCATEGORY\tWINDOW\tMISSED\tFLAPS\tTOLD\tPENDING\tLATER\tFAILING\tENDPOINTS\t"
	}
	fmt.Fprintln(w, head+"REASON")
	for _, one := range all.Services {
		s, err := decode(one)
		if err != nil {
			return err
		}
		cells := []string{stateOf(s), terminal.Ago(all.Now, s.Since.Time), terminal.Cell(cmp.Or(s.AppName, s.App)), terminal.Cell(s.Name),
			terminal.Ago(all.Now, s.LastBeat.Time), seconds(s.Interval), deadline(all.Now, s)}
		if wide {
			cells = append(cells, terminal.Cell(s.ID), terminal.Cell(s.Version), terminal.Cell(s.Category), seconds(s.Window), strconv.Itoa(s.Missed), strconv.Itoa(s.Flaps),
				strconv.Itoa(s.Notified.Told), strconv.Itoa(s.Notified.Pending), strconv.Itoa(s.Notified.PutOff), strconv.Itoa(len(s.Notified.Failing)), terminal.Cell(strings.Join(s.Endpoints, ",")))
		}
		fmt.Fprintln(w, strings.Join(append(cells, terminal.Cell(s.Reason)), "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return printSummary(out, all)
}

// printSummary says how all services are, and whether the table is to be believed.
func printSummary(out io.Writer, all *State) error {
	var c Counts
	var p Platform
	if json.Unmarshal(all.Counts, &c) != nil || json.Unmarshal(all.Platform, &p) != nil {
		return errNoState
	}
	if p.Expiry.Held {
		until := ""
		if !p.Expiry.Until.IsZero() {
			until = ", until " + p.Expiry.Until.UTC().Format(time.TimeOnly) + " UTC at the latest"
		}
		fmt.Fprintf(out, "\nNobody is suspended now: %s%s.\n", terminal.Cell(p.Expiry.Reason), until)
	}
	_, err := fmt.Fprintf(out, "\n%d of %d services. Of all: %d ACTIVE, %d SUSPENDED, %d INACTIVE; %d late, %d drained, %d without heartbeats.\n",
		len(all.Services), c.Total, c.Active, c.Suspended, c.Inactive, c.Late, c.Drained, c.WithoutLiveness)
	return err
}

// stateOf is a state with what qualifies it.
func stateOf(s Service) string {
	text := terminal.Cell(s.State)
	if s.Late {
		text += ",late"
	}
	if s.Drained {
		text += ",drained"
	}
	return text
}

func seconds(n int) string {
	if n == 0 {
		return "-"
	}
	return (time.Duration(n) * time.Second).String()
}

// deadline is when a service that is alive is dead unless it is heard.
func deadline(now time.Time, s Service) string {
	if s.State != "ACTIVE" {
		return "-"
	}
	return terminal.In(now, s.Deadline.Time)
}

// PrintOne prints all that is known of one service.
func PrintOne(out io.Writer, now time.Time, one json.RawMessage) error {
	s, err := decode(one)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"service", s.Name}, {"version", s.Version}, {"category", s.Category}, {"id", s.ID}, {"application", strings.TrimSpace(s.App + " " + s.AppName)},
		{"endpoints", strings.Join(s.Endpoints, " ")}, {"state", stateOf(s)}, {"since", when(now, s.Since.Time)}, {"reason", s.Reason},
		{"interval", seconds(s.Interval)}, {"window", seconds(s.Window)}, {"last heartbeat", when(now, s.LastBeat.Time)}, {"deadline", deadline(now, s)},
		{"missed", strconv.Itoa(s.Missed)}, {"flaps", strconv.Itoa(s.Flaps)}, {"gaps", gaps(s.Gaps)},
		{"notified", notifiedOf(&s)},
	} {
		fmt.Fprintf(w, "%s\t%s\n", line[0], terminal.Cell(line[1]))
	}
	if len(s.Transitions) > 0 {
		fmt.Fprintln(w, "\nWHEN\tFROM\tTO\tREASON")
	}
	for _, t := range s.Transitions {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", when(now, t.Time.Time), terminal.Cell(t.From), terminal.Cell(t.To), terminal.Cell(t.Reason))
	}
	if len(s.Subscriptions) > 0 {
		fmt.Fprintln(w, "\nSUBSCRIBER\tSUBSCRIPTION\tTOLD\tLAST ATTEMPT\tLAST ERROR")
	}
	for _, t := range s.Subscriptions {
		told := "yes"
		if !t.Delivered {
			told = "not yet"
		}
		if t.PutOff {
			told = "later"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", terminal.Cell(t.App), terminal.Cell(t.ID), told, when(now, t.LastAttempt.Time), terminal.Cell(t.LastError))
	}
	return w.Flush()
}

// notifiedOf says who was told of the last change, and whether that is put off.
func notifiedOf(s *Service) string {
	out := fmt.Sprintf("%d told, %d pending, %d failing", s.Notified.Told, s.Notified.Pending, len(s.Notified.Failing))
	if s.Notified.PutOff > 0 {
		out += fmt.Sprintf(", %d later", s.Notified.PutOff)
	}
	if f := s.Flapping; f != nil {
		out += fmt.Sprintf("; it flaps: %d changes, put off until %s", f.Changes, f.Until.UTC().Format(time.DateTime+" UTC"))
	}
	return out
}

// when is a time for people: of the day, and how long ago.
func when(now, at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format("2006-01-02 15:04:05") + " UTC (" + terminal.Ago(now, at) + ")"
}

func gaps(all []float64) string {
	var texts []string
	for _, g := range all {
		texts = append(texts, strconv.FormatFloat(g, 'f', 1, 64))
	}
	if len(texts) == 0 {
		return "-"
	}
	return strings.Join(texts, " ") + " s between heartbeats"
}
