package edgegallery

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"time"
)

// Service is what a test may see of a registration.
type Service struct {
	ID, App, Name, Version, State string
	Interval                      int       // seconds; 0: no heartbeats
	Beats                         int       // heartbeats that were taken
	BeatAt                        time.Time // of the last one, or of the registration or update
	Endpoints                     []string  // the gateway's, as consumers are shown them
}

// Services lists the registrations, the oldest first.
func (p *Platform) Services() (all []Service) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.suspend()
	for _, i := range p.instances {
		all = append(all, Service{i.info.ID, i.app, i.info.Name, i.info.Version, i.info.State, i.info.LivenessInterval, i.beats, i.beatAt, slices.Clone(i.gateway)})
	}
	return all
}

// Lose forgets every registration, as a platform does that is started with an empty store.
func (p *Platform) Lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.instances = nil
}

// find returns an instance, nil if there is none. p.mu is held.
func (p *Platform) find(id string) *instance {
	for _, i := range p.instances {
		if i.info.ID == id {
			return i
		}
	}
	return nil
}

// read reads and checks the body of a POST or PUT, or answers and returns false.
func read(w http.ResponseWriter, r *http.Request) (s serviceInfo, ok bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, failBase, "read request body error")
		return s, false
	}
	var members map[string]any
	switch {
	case len(body) > maxBody:
		refuse(w, requestParam, "request body too large")
		return s, false
	case string(body) == "null":
		http.Error(w, "Internal Server Error", http.StatusInternalServerError) // it panics
		return s, false
	case json.Unmarshal(body, &members) != nil:
		refuse(w, failBase, "check Param failed")
		return s, false
	}
	s, err = decode(body)
	switch {
	case err == nil:
		return s, true
	case errors.Is(err, errParam):
		refuse(w, requestParam, "request param validation failed")
	default:
		refuse(w, parseInfo, "unmarshal request body error")
	}
	return s, false
}

func (p *Platform) register(w http.ResponseWriter, r *http.Request) {
	app := r.PathValue("app")
	if !uuidForm.MatchString(app) {
		refuse(w, requestParam, "app Instance ID validation failed, invalid uuid")
		return
	}
	s, ok := read(w, r)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, i := range p.instances {
		if i.app == app {
			n++
		}
	}
	if n >= maxServices {
		refuse(w, registrationFailed, "registered services have achieve the limit")
		return
	}
	p.serial++
	s.ID = half("/cse-sr/ms/indexes////default/"+s.Name+"/1.0.0") + half(fmt.Sprint(app, p.serial))
	i := &instance{app: app}
	p.instances = append(p.instances, i)
	p.store(i, s)
	w.Header().Set("Location", "/mep/mp1/v1/services/"+s.ID)
	answer(w, http.StatusCreated, i.echo())
}

// half is one of the two halves of a serInstanceId.
func half(of string) string {
	sum := sha256.Sum256([]byte(of))
	return hex.EncodeToString(sum[:8])
}

// store takes a description for an instance, and registers its endpoints at the gateway.
// An endpoint that it has already keeps its URL there. p.mu is held.
func (p *Platform) store(i *instance, s serviceInfo) {
	if s.LivenessInterval != 0 {
		s.LivenessInterval = p.options.Interval
	}
	i.gateway = nil
	for _, e := range s.endpoints() {
		i.gateway = append(i.gateway, "http://mep-api-gw.mep:8000/"+s.Name+half(s.ID+e)+"0000")
	}
	i.info, i.beatAt = s, time.Now()
}

// endpoints are the URIs that the gateway is to forward to.
func (s serviceInfo) endpoints() (all []string) {
	if len(s.Transport.Endpoint.URIs) > 0 {
		return s.Transport.Endpoint.URIs
	}
	for _, a := range s.Transport.Endpoint.Addresses {
		all = append(all, fmt.Sprintf("%s://%s:%d/", s.Transport.Protocol, a.Host, a.Port))
	}
	return all
}

// echo is the answer to a POST or PUT: what was sent, and no owner.
func (i *instance) echo() serviceInfo {
	s := i.info
	s.Links = links{}
	if s.LivenessInterval != 0 {
		s.Links.Self.Liveness = i.livenessPath()
	}
	return s
}

// shown is what a GET answers: the gateway's URLs in place of the endpoints.
func (i *instance) shown() serviceInfo {
	s := i.echo()
	s.Links.App = i.app
	uris := slices.Clone(i.gateway)
	slices.Reverse(uris) // the original has them in the order of a Go map
	s.Transport.Endpoint = endpoint{URIs: uris}
	s.Transport.Specific = nil
	if s.Transport.Security.OAuth2.GrantTypes == nil {
		s.Transport.Security.OAuth2.GrantTypes = []string{""}
	}
	return s
}

func (i *instance) livenessPath() string {
	return root + "/applications/" + i.app + "/services/" + i.info.ID + "/liveness"
}

var (
	serviceForm = regexp.MustCompile(`[0-9a-f]{32}`)
	uuidForm    = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// on runs f with the instance that the path names, or answers that there is none.
func (p *Platform) on(w http.ResponseWriter, r *http.Request, f func(*instance)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.suspend()
	i := p.find(r.PathValue("id"))
	switch {
	case !serviceForm.MatchString(r.PathValue("id")):
		refuse(w, failBase, "invalid service ID")
	case i == nil:
		refuse(w, notFound, "service instance id not found")
	default:
		f(i)
	}
}

func (p *Platform) show(w http.ResponseWriter, r *http.Request) {
	p.on(w, r, func(i *instance) { answer(w, http.StatusOK, i.shown()) })
}

func (p *Platform) update(w http.ResponseWriter, r *http.Request) {
	s, ok := read(w, r)
	if !ok {
		return
	}
	p.on(w, r, func(i *instance) {
		s.ID = i.info.ID
		p.store(i, s)
		answer(w, http.StatusOK, i.echo())
	})
}

func (p *Platform) remove(w http.ResponseWriter, r *http.Request) {
	p.on(w, r, func(i *instance) {
		p.instances = slices.DeleteFunc(p.instances, func(o *instance) bool { return o == i })
		w.WriteHeader(http.StatusNoContent)
	})
}

func (p *Platform) list(w http.ResponseWriter, r *http.Request) {
	p.answerList(w, r, func(i *instance) bool { return i.app == r.PathValue("app") })
}

func (p *Platform) discover(w http.ResponseWriter, r *http.Request) {
	p.answerList(w, r, func(*instance) bool { return true })
}

// answerList answers with the instances that keep accepts, in every state. A name that was
// never registered is an error of service-center's.
func (p *Platform) answerList(w http.ResponseWriter, r *http.Request, keep func(*instance) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.suspend()
	name := r.URL.Query().Get("ser_name")
	all, known := []serviceInfo{}, false
	for _, i := range p.instances {
		if name == "" || i.info.Name == name {
			known = true
			if keep(i) {
				all = append(all, i.shown())
			}
		}
	}
	if name != "" && !known {
		writeJSON(w, http.StatusBadRequest, map[string]string{"errorCode": "400012", "errorMessage": "Micro-service does not exist", "detail": "provider does not exist"})
		return
	}
	answer(w, http.StatusOK, all)
}

func transports(w http.ResponseWriter, _ *http.Request) {
	t := transport{ID: "0123456789abcdef0123456789abcdef", Name: "REST", Description: "REST API", Type: "REST_HTTP", Protocol: "HTTP", Version: "2.0"}
	t.Security.OAuth2.GrantTypes = []string{"OAUTH2_CLIENT_CREDENTIALS"}
	t.Security.OAuth2.TokenEndpoint = "/mep/token"
	answer(w, http.StatusOK, []transport{t})
}
