package edgegallery

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mec-liveness/mepserver/conf"
)

// dnsServer does what EdgeGallery's dns-server was seen to do at commit 971f2d0, by its source and
// by requests to it: which status each request gets, and that nothing can be read.
type dnsServer struct {
	url string

	mu       sync.Mutex
	records  map[string]resourceRecord // by name and type
	requests []string
	broken   bool                                                     // its database
	before   func(w http.ResponseWriter, r *http.Request) (done bool) // may answer in its place
}

func newDNSServer(t testing.TB) *dnsServer {
	t.Helper()
	s := &dnsServer{records: map[string]resourceRecord{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+root, s.handle(func(w http.ResponseWriter, _ *http.Request, rr resourceRecord) {
		if _, exists := s.records[rr.Name+" "+rr.Type]; exists {
			http.Error(w, "record already exists!", http.StatusBadRequest)
			return
		}
		s.store(w, rr)
	}))
	mux.HandleFunc("PUT "+root+"/{fqdn}/{rrtype}", s.handle(func(w http.ResponseWriter, r *http.Request, rr resourceRecord) {
		_, exists := s.records[rr.Name+" "+rr.Type]
		if !exists || rr.Name != r.PathValue("fqdn") || rr.Type != r.PathValue("rrtype") {
			http.Error(w, "record not exist, cannot update!", http.StatusBadRequest)
			return
		}
		s.store(w, rr)
	}))
	mux.HandleFunc("DELETE "+root+"/{fqdn}/{rrtype}", s.handle(func(w http.ResponseWriter, r *http.Request, _ resourceRecord) {
		key := strings.ToLower(r.PathValue("fqdn")) + " " + r.PathValue("rrtype")
		if _, exists := s.records[key]; !exists || s.broken {
			http.Error(w, "Error in retrieving the data.", http.StatusInternalServerError)
			return
		}
		delete(s.records, key)
		_, _ = fmt.Fprint(w, "Success")
	}))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *dnsServer) handle(next func(http.ResponseWriter, *http.Request, resourceRecord)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, r.Method)
		if s.before != nil && s.before(w, r) {
			return
		}
		var rr resourceRecord
		switch err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4000)).Decode(&rr); { // echo's "4K"
		case err != nil && strings.Contains(err.Error(), "too large"):
			http.Error(w, "Request Entity Too Large", http.StatusRequestEntityTooLarge)
			return
		case err != nil || r.URL.Query().Get("zone") != "." || r.Method != http.MethodDelete && !valid(rr):
			http.Error(w, "invalid input!", http.StatusBadRequest)
			return
		}
		rr.Name = strings.ToLower(rr.Name)
		next(w, r, rr)
	}
}

func valid(rr resourceRecord) bool {
	return rr.TTL != 0 && rr.Name != "" && len(rr.Name) <= 253 && rr.Class != "" && len(rr.RData) > 0 && !slices.ContainsFunc(rr.RData, func(a string) bool {
		ip := net.ParseIP(a)
		return ip == nil || ip.IsMulticast() || ip.Equal(net.IPv4bcast)
	})
}

func (s *dnsServer) store(w http.ResponseWriter, rr resourceRecord) {
	if s.broken || rr.Class != "IN" {
		http.Error(w, "unsupported rrclass("+rr.Class+") entry", http.StatusInternalServerError)
		return
	}
	s.records[rr.Name+" "+rr.Type] = rr
	_, _ = fmt.Fprint(w, "success in adding rr entry.")
}

func (s *dnsServer) driver() *Driver { return New(conf.DNSRules{URL: s.url + "/"}) }
