// Package operate shows an operator what a running server knows, changes it where he says so, and
// finds what operators get wrong. It knows the routes of /mec_liveness/v1 and the forms in which
// people and programs read their answers; it must not know how the server is reached, nor flags.
package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/cmd/terminal"
	"github.com/mec-liveness/mepserver/mp1"
)

const (
	statePath    = mp1.LivenessBase + "/state"
	servicesPath = mp1.LivenessBase + "/services"
	pageSize     = 500
	// maxServices ends a list that never ends.
	maxServices = 1_000_000
)

// errNoState is of an answer that is something else.
var errNoState = errors.New("the server's answer is not what was asked for; is it a mepserver?")

// errOlder is of a server that has no such route.
var errOlder = errors.New("the server does not have this: it is no mepserver, or an older one")

// ErrNotGood ends a command whose output says what is not good.
var ErrNotGood = errors.New("not good")

// ErrNotFound says that there is no such service.
var ErrNotFound = errors.New("there is no service of that serInstanceId or serName; mepserver services -o wide lists all")

// State is what a server knows, as far as it is shown here. What it is made of is kept for
// programs.
type State struct {
	Now      time.Time         `json:"now"`
	Revision int64             `json:"revision"`
	Replica  string            `json:"replica"`
	Platform json.RawMessage   `json:"platform"`
	Counts   json.RawMessage   `json:"counts"`
	Services []json.RawMessage `json:"services"`
	Next     string            `json:"next,omitempty"`
}

// stamp is a time that may be missing.
type stamp struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (s *stamp) UnmarshalJSON(b []byte) error {
	if string(b) == `""` {
		return nil
	}
	return s.Time.UnmarshalJSON(b)
}

// Platform is how the server itself is.
type Platform struct {
	Version  string `json:"version"`
	Replicas []struct {
		ID string `json:"id"`
	} `json:"replicas"`
	Store struct {
		Kind       string `json:"kind"`
		Ready      bool   `json:"ready"`
		UsedBytes  int64  `json:"usedBytes"`
		QuotaBytes int64  `json:"quotaBytes"`
		Full       bool   `json:"full"`
	} `json:"store"`
	Expiry struct {
		Held   bool   `json:"held"`
		Reason string `json:"reason"`
		Since  stamp  `json:"since,omitzero"`
		Until  stamp  `json:"until,omitzero"`
	} `json:"expiry"`
	Notifications struct {
		Pending int `json:"pending"`
		Failing int `json:"failingSubscriptions"`
	} `json:"notifications"`
}

// Counts are those of all services.
type Counts struct {
	Active, Suspended, Inactive, Late, Drained, WithoutLiveness, Total int
}

// Service is one service as it is now.
type Service struct {
	ID        string   `json:"serInstanceId"`
	Name      string   `json:"serName"`
	Version   string   `json:"version"`
	App       string   `json:"appInstanceId"`
	AppName   string   `json:"appName"`
	Category  string   `json:"category"`
	Endpoints []string `json:"endpoints"`
	State     string   `json:"state"`
	Since     stamp    `json:"since,omitzero"`
	Reason    string   `json:"reason"`
	Drained   bool     `json:"drained"`
	Late      bool     `json:"late"`
	Interval  int      `json:"livenessInterval"`
	Window    int      `json:"windowSeconds"`
	LastBeat  stamp    `json:"lastHeartbeat,omitzero"`
	Deadline  stamp    `json:"deadline,omitzero"`
	Missed    int      `json:"missed"`
	Flaps     int      `json:"flaps"`
	Flapping  *struct {
		Changes int   `json:"changes"`
		Until   stamp `json:"until"`
	} `json:"flapping"`
	Gaps     []float64 `json:"gapsSeconds"`
	Notified struct {
		Told    int      `json:"told"`
		Pending int      `json:"pending"`
		PutOff  int      `json:"putOff"`
		Failing []string `json:"failing"`
	} `json:"notified"`
	// Transitions and Subscriptions are there when one service was asked for.
	Transitions []struct {
		Time   stamp  `json:"time"`
		From   string `json:"from"`
		To     string `json:"to"`
		Reason string `json:"reason"`
	} `json:"transitions"`
	Subscriptions []struct {
		ID          string `json:"id"`
		App         string `json:"appInstanceId"`
		Delivered   bool   `json:"delivered"`
		PutOff      bool   `json:"putOff"`
		LastAttempt stamp  `json:"lastAttempt,omitzero"`
		LastError   string `json:"lastError"`
	} `json:"subscriptions"`
}

// Query says which services are asked for; what is empty selects all.
type Query struct {
	States        string // separated by commas
	App, Name     string
	Late, Drained bool
}

func (q Query) values(after string) url.Values {
	v := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for name, value := range map[string]string{"state": q.States, "app": q.App, "name": q.Name, "after": after} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, on := range map[string]bool{"late": q.Late, "drained": q.Drained} {
		if on {
			v.Set(name, "true")
		}
	}
	return v
}

// Services asks for all pages of the services of a query.
func Services(ctx context.Context, s *remote.Server, q Query) (*State, error) {
	var all *State
	for after := ""; ; {
		var page State
		if err := call(ctx, s, http.MethodGet, statePath+"?"+q.values(after).Encode(), nil, &page); err != nil {
			return nil, err
		}
		if all == nil {
			all = &page
		} else {
			all.Services = append(all.Services, page.Services...)
		}
		if page.Next == "" || page.Next == after || len(all.Services) > maxServices {
			all.Next = ""
			return all, nil
		}
		after = page.Next
	}
}

// One asks for one service.
func One(ctx context.Context, s *remote.Server, id string) (json.RawMessage, error) {
	return about(ctx, s, http.MethodGet, statePath, id, "", nil)
}

// Drain takes a service out of use, for a reason; Undrain gives it back. Both return its state.
func Drain(ctx context.Context, s *remote.Server, id, reason string) (json.RawMessage, error) {
	return about(ctx, s, http.MethodPut, servicesPath, id, "/drain", map[string]string{"reason": reason})
}

// Undrain is the contrary of Drain.
func Undrain(ctx context.Context, s *remote.Server, id string) (json.RawMessage, error) {
	return about(ctx, s, http.MethodDelete, servicesPath, id, "/drain", nil)
}

// Named asks for something of the service that has this serInstanceId, or else of the only one of
// this serName.
func Named(ctx context.Context, s *remote.Server, word string, ask func(id string) (json.RawMessage, error)) (json.RawMessage, error) {
	if mp1.ValidID(word) {
		if one, err := ask(word); !errors.Is(err, ErrNotFound) {
			return one, err
		}
	}
	all, err := Services(ctx, s, Query{Name: word})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, one := range all.Services {
		found, err := decode(one)
		if err != nil {
			return nil, err
		}
		if found.Name == word {
			ids = append(ids, terminal.Cell(found.ID))
		}
	}
	switch n := len(ids); {
	case n == 0:
		return nil, ErrNotFound
	case n > maxNames:
		return nil, fmt.Errorf("%d services are called %+q; mepserver services --name TEXT -o wide lists their ids", n, word)
	case n > 1:
		return nil, fmt.Errorf("%d services are called %+q; give the id of one: %s", n, word, strings.Join(ids, ", "))
	}
	return ask(ids[0])
}

// about asks for something of one service.
func about(ctx context.Context, s *remote.Server, method, base, id, below string, body any) (one json.RawMessage, err error) {
	if !mp1.ValidID(id) {
		return nil, fmt.Errorf("ID must be %s, not %+q", mp1.IDForm, id)
	}
	err = call(ctx, s, method, base+"/"+id+below, body, &one)
	return one, err
}

// call sends one request and reads its answer, which must be a JSON object.
func call(ctx context.Context, s *remote.Server, method, path string, body, into any) error {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := s.Do(r)
	switch {
	case err != nil:
		return err
	case answer.Status == http.StatusNotFound && isProblem(answer):
		return ErrNotFound
	case answer.Status == http.StatusNotFound:
		return errOlder
	case answer.Status != http.StatusOK:
		return remote.Refusal(answer.Status, answer.Body)
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return errNoState
	}
	return nil
}

func isProblem(a remote.Answer) bool {
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return kind == "application/problem+json"
}

// decode reads what a server knows of one service.
func decode(one json.RawMessage) (s Service, err error) {
	if err = json.Unmarshal(one, &s); err != nil {
		err = errors.New("the server's answer describes no service; is it a mepserver?")
	}
	return s, err
}
