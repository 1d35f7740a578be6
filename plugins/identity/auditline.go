package identity

import (
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/logs"
)

// auditLine is one line of the audit log. Its members are documented in docs/security.md; time,
// level and msg are those of the log, into which it is written where there is no file. No
// value is a secret: of what proves who calls there is only the source, and of the URI only
// the path.
type auditLine struct {
	Time     string   `json:"time"`
	Level    string   `json:"level"`
	Msg      string   `json:"msg"`
	Outcome  string   `json:"outcome"`
	Status   int      `json:"status"`
	Method   string   `json:"method"`
	Route    string   `json:"route"`
	Resource string   `json:"resource"`
	Identity string   `json:"identity"`
	Claimed  string   `json:"claimed,omitempty"`
	Source   string   `json:"source"`
	Roles    []string `json:"roles"`
	Address  string   `json:"address"`
	Request  string   `json:"request,omitempty"`
	Repeated int      `json:"repeated,omitempty"`
}

// auditMessage is the msg of every line.
const auditMessage = "audit"

func newLine(rec *record, r *http.Request, status int, outcome string) auditLine {
	l := auditLine{Level: "INFO", Msg: auditMessage, Outcome: outcome, Status: status, Route: rec.route, Roles: []string{},
		Method: logs.Clean(r.Method), Resource: logs.Clean(r.URL.EscapedPath()), Request: requestID(r)}
	if outcome == outcomeRefused {
		l.Level = "WARN"
	}
	if rec.caller == nil {
		l.Claimed = logs.Clean(rec.claimed)
	}
	if c := rec.caller; c != nil {
		l.Identity, l.Source = logs.Clean(c.Name), logs.Clean(c.Source)
		for _, role := range c.Roles {
			l.Roles = append(l.Roles, logs.Clean(role))
		}
	}
	l.Address = logs.Clean(r.RemoteAddr)
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		l.Address = logs.Clean(host)
	}
	return l
}

// auditTime is a time as lines have it.
func auditTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

// encode is the line as it is written.
func (l *auditLine) encode() []byte {
	b, err := json.Marshal(l)
	if err != nil { // texts and numbers: cannot happen
		return nil
	}
	return append(b, '\n')
}
