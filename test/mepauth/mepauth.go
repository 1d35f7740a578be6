// Package mepauth stands in for EdgeGallery's mepauth, so that tests see how a platform gets along
// with it: it keeps which services an application requires, and gives tokens to whoever has an
// access key. It answers as mep 971f2d0 does (2022). It leaves out its block list and its
// database. It must not know anything of what it tests.
package mepauth

import (
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	confs     = "/mep/appMng/v1/applications/{app}/confs"
	tokenPath = "/mep/token"
	maxBody   = 64 << 10 // bytes
)

// uuid is how an appInstanceId must look there.
var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Server is a mepauth on a loopback address. It is safe for concurrent use.
type Server struct {
	URL string
	// KeyFile is the public key of its tokens, in PEM form.
	KeyFile string

	key *rsa.PrivateKey

	mu        sync.Mutex
	apps      map[string]record // by appInstanceId
	requests  []string
	intercept func(http.ResponseWriter, *http.Request) bool
}

// record is what is kept of an application, as it is shown.
type record struct {
	App      string `json:"app_ins_id"`
	Access   string `json:"ak"`
	Secret   string `json:"sk"`
	Nonce    string `json:"nonce"`
	Name     string `json:"app_name"`
	Required string `json:"required_services"` // an array of texts in JSON, as a text
}

// Start serves a mepauth without applications until the test ends; with a certificate by HTTPS.
func Start(t testing.TB, certificate ...tls.Certificate) *Server {
	t.Helper()
	s := &Server{apps: map[string]record{}}
	s.makeKey(t)
	web := httptest.NewUnstartedServer(s)
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail, as some are to
	if len(certificate) == 0 {
		web.Start()
	} else {
		web.TLS = &tls.Config{Certificates: certificate, MinVersion: tls.VersionTLS12}
		web.StartTLS()
	}
	t.Cleanup(web.Close)
	s.URL = web.URL
	return s
}

// Require has the application require services, as MECM configures it by PUT …/confs.
func (s *Server) Require(app string, services ...string) {
	text, err := json.Marshal(slices.Concat([]string{}, services))
	if err != nil { // plain data: cannot happen
		panic(err)
	}
	s.RequireText(app, string(text))
}

// RequireText has mepauth hold this text as what the application requires, whatever it is.
func (s *Server) RequireText(app, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.apps[app]
	r.App, r.Required = app, text
	s.apps[app] = r
}

// SetKeys gives the application an access key and its secret.
func (s *Server) SetKeys(app, access, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.apps[app]
	r.App, r.Access, r.Secret = app, access, secret
	s.apps[app] = r
}

// Knows says whether mepauth keeps anything of the application.
func (s *Server) Knows(app string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.apps[app]
	return ok
}

// Intercept has f see each request before mepauth. If f returns true, it has answered. nil
// ends that.
func (s *Server) Intercept(f func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Requests lists the requests so far as "METHOD PATH".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	intercept := s.intercept
	s.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+confs, s.on(s.show))
	mux.HandleFunc("PUT "+confs, s.on(s.configure))
	mux.HandleFunc("DELETE "+confs, s.on(s.remove))
	mux.HandleFunc("POST "+tokenPath, s.token)
	mux.ServeHTTP(w, r)
}

// on refuses what the original does: no address in X-Real-Ip, no UUID in the path.
func (s *Server) on(h func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch app := r.PathValue("app"); {
		case net.ParseIP(r.Header.Get("X-Real-Ip")) == nil:
			refuse(w, "clientIp address is invalid")
		case !uuid.MatchString(app):
			refuse(w, "Application Instance ID validation failed")
		default:
			h(w, r, app)
		}
	}
}

func (s *Server) show(w http.ResponseWriter, _ *http.Request, app string) {
	s.mu.Lock()
	r, ok := s.apps[app]
	s.mu.Unlock()
	if !ok {
		refuse(w, "<QuerySeter> no row found")
		return
	}
	if r.Required == "" {
		r.Required = "[]"
	}
	answer(w, http.StatusOK, r)
}

func (s *Server) configure(w http.ResponseWriter, r *http.Request, app string) {
	var asked struct {
		AuthInfo struct {
			Credentials struct{ AccessKeyID, SecretKey string }
		}
		AppInfo struct {
			AppName          string
			RequiredServices []string
		}
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&asked); err != nil {
		refuse(w, err.Error())
		return
	}
	s.Require(app, asked.AppInfo.RequiredServices...)
	s.SetKeys(app, asked.AuthInfo.Credentials.AccessKeyID, asked.AuthInfo.Credentials.SecretKey)
	answer(w, http.StatusOK, asked)
}

// remove removes an application. The original does not say whether there was one.
func (s *Server) remove(w http.ResponseWriter, _ *http.Request, app string) {
	s.mu.Lock()
	delete(s.apps, app)
	s.mu.Unlock()
	answer(w, http.StatusOK, "Delete success.")
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	apps := make([]record, 0, len(s.apps))
	for _, one := range s.apps {
		apps = append(apps, one)
	}
	s.mu.Unlock()
	for _, one := range apps {
		if one.Access != "" && signed(r, one.Access, one.Secret) {
			ip := r.Header.Get("X-Real-Ip")
			if net.ParseIP(ip) == nil {
				ip = "UNKNOWN_IP"
			}
			answer(w, http.StatusOK, map[string]any{"access_token": s.Token(one.App, ip), "token_type": "Bearer", "expires_in": int(time.Hour / time.Second)})
			return
		}
	}
	answer(w, http.StatusUnauthorized, "Invalid access or signature.")
}

func refuse(w http.ResponseWriter, why string) { answer(w, http.StatusBadRequest, why) }

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
