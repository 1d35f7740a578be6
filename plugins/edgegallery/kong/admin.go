package kong

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

const (
	// Timeout is how long one request to Kong may take.
	Timeout = 5 * time.Second
	// maxPage bounds one page of a list, in bytes, and maxPages how many are read.
	maxPage  = 8 << 20
	maxPages = 200
	pageSize = "1000"
)

// errRefused says that Kong answers and does not take one entry. The same again is of no use
// before something changes there; other entries may do.
var errRefused = errors.New("Kong refuses it") //nolint:staticcheck // a name

// errNoList says that what answers has no lists, which Kong has.
var errNoList = errors.New("it has no lists")

// admin is Kong's Admin API, of release 2.0. Every name that it is given is valid.
type admin struct {
	base string // scheme://host:port
	web  *http.Client
	done func(err error) // is told how each request ended
}

// publish has Kong lead a name to a URL, for whoever shows a token that has not ended. The route
// comes last: without the plugin before it the service would be open to everybody.
func (a *admin) publish(ctx context.Context, name, link string) error {
	at := "/services/" + name
	if err := a.mustSend(ctx, http.MethodPut, at, map[string]any{"name": name, "url": link}); err != nil {
		return err
	}
	err := a.mustSend(ctx, http.MethodPost, at+"/plugins", map[string]any{"name": jwt, "config": map[string]any{"claims_to_verify": []string{"exp"}}}, http.StatusConflict)
	if err != nil {
		return err
	}
	return a.mustSend(ctx, http.MethodPut, at+"/routes/"+name, map[string]any{"name": name, "paths": []string{"/" + name}})
}

// jwt is the plugin that wants a token.
const jwt = "jwt"

// remove has Kong forget a name. The route goes first, so that nobody is led there without the
// plugin. That Kong does not have it is no error.
func (a *admin) remove(ctx context.Context, name string) error {
	at := "/services/" + name
	if err := a.mustSend(ctx, http.MethodDelete, at+"/routes/"+name, nil, http.StatusNotFound); err != nil {
		return err
	}
	plugins, err := a.list(ctx, at+"/plugins")
	if err != nil && !errors.Is(err, errNoList) { // it also says that there is no such service
		return err
	}
	for _, p := range plugins {
		if mp1.ValidID(p.ID) {
			if err := a.mustSend(ctx, http.MethodDelete, at+"/plugins/"+p.ID, nil, http.StatusNotFound); err != nil {
				return err
			}
		}
	}
	return a.mustSend(ctx, http.MethodDelete, at, nil, http.StatusNotFound)
}

// object is what a list has of a service, a route or a plugin.
type object struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Service *struct {
		ID string `json:"id"`
	} `json:"service"`
}

// published are the names of which Kong has all: service, plugin and route. Without lists it is
// none, so that everything is published again.
func (a *admin) published(ctx context.Context) (map[string]bool, error) {
	var all [3][]object
	for i, path := range []string{"/services", "/plugins", "/routes"} {
		var err error
		if all[i], err = a.list(ctx, path); errors.Is(err, errNoList) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	names := map[string]string{} // by id
	for _, s := range all[0] {
		names[s.ID] = s.Name
	}
	guarded := map[string]bool{}
	for _, p := range all[1] {
		if p.Name == jwt && p.Service != nil {
			guarded[names[p.Service.ID]] = true
		}
	}
	out := map[string]bool{}
	for _, r := range all[2] {
		if r.Service != nil && names[r.Service.ID] == r.Name && guarded[r.Name] {
			out[r.Name] = true
		}
	}
	return out, nil
}

// list reads all pages of a list.
func (a *admin) list(ctx context.Context, path string) (out []object, err error) {
	offset := ""
	for range maxPages {
		q := url.Values{"size": {pageSize}}
		if offset != "" {
			q.Set("offset", offset)
		}
		status, body, err := a.send(ctx, http.MethodGet, path+"?"+q.Encode(), nil)
		switch {
		case err != nil:
			return nil, err
		case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
			return nil, errNoList
		case status != http.StatusOK:
			return nil, a.unexpected(status)
		}
		var page struct {
			Data   []object `json:"data"`
			Offset string   `json:"offset"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, fmt.Errorf("%s is no Admin API of Kong: its list cannot be read", a.base)
		}
		if out = append(out, page.Data...); page.Offset == "" {
			return out, nil
		}
		offset = page.Offset
	}
	return nil, fmt.Errorf("the list %s of Kong has no end", path)
}

// mustSend sends a request that must succeed, or be answered with one of the other statuses.
func (a *admin) mustSend(ctx context.Context, method, path string, body any, others ...int) error {
	status, text, err := a.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	if status >= 200 && status < 300 {
		return nil
	}
	for _, other := range others {
		if status == other {
			return nil
		}
	}
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %s %s is answered with %d %s", errRefused, method, path, status, messageIn(text))
	}
	return a.unexpected(status)
}

func (a *admin) unexpected(status int) error {
	if status >= 300 && status < 400 {
		return fmt.Errorf("%s is no Admin API of Kong: it answers %d, a redirect", a.base, status)
	}
	return fmt.Errorf("Kong's Admin API at %s answers %d", a.base, status) //nolint:staticcheck // a name
}

// messageIn is what Kong says of a fault.
func messageIn(body []byte) string {
	const most = 200
	var said struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &said) != nil || said.Message == "" {
		return ""
	}
	if len(said.Message) > most {
		said.Message = strings.ToValidUTF8(said.Message[:most], "") + "…"
	}
	return "(" + said.Message + ")"
}

func (a *admin) send(ctx context.Context, method, path string, body any) (status int, answer []byte, err error) {
	defer func() { a.done(err) }()
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, content)
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	req.Header.Set("User-Agent", "mepserver")
	res, err := a.web.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("Kong's Admin API at %s does not answer: %w", a.base, err) //nolint:staticcheck // a name
	}
	defer func() { _ = res.Body.Close() }() // what is not read is of no use
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxPage+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("an answer of Kong's Admin API at %s ends early: %w", a.base, err)
	case len(answer) > maxPage:
		return 0, nil, fmt.Errorf("an answer of Kong's Admin API at %s is larger than %d bytes", a.base, maxPage)
	}
	return res.StatusCode, answer, nil
}
