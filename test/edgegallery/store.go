package edgegallery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/proc"
)

// Store is the etcd that EdgeGallery's mepserver has within it, as a process of its own, with
// keys as that server writes them.
type Store struct {
	Dir     string // its data directory
	t       testing.TB
	client  string // host:port
	process *proc.Process
	written int // services
}

// StartStore starts the store in a directory of the test: an etcd of release 3.3, which is built
// for it.
func StartStore(t testing.TB) *Store {
	t.Helper()
	binary := built.Module(t, "build/etcd33", "github.com/coreos/etcd")
	s := &Store{Dir: t.TempDir(), t: t, client: proc.Free(t)}
	peer := "http://" + proc.Free(t)
	s.process = proc.Command{Program: binary, Args: []string{"--name", "sc-0", "--data-dir", s.Dir, "--initial-cluster", "sc-0=" + peer,
		"--listen-client-urls", "http://" + s.client, "--advertise-client-urls", "http://" + s.client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer}}.Start(t)
	for begun := time.Now(); s.put("/cse-sr/sys", `{"version":"0.0.1"}`) != nil; time.Sleep(50 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("EdgeGallery's store was not ready in a minute")
		}
	}
	return s
}

// Kill ends the store with SIGKILL: what it acknowledged stands in its log alone, perhaps. An etcd of this age that is
// alone may acknowledge a write before it stands there (etcd-io/etcd#14370), so the last one is of no interest.
func (s *Store) Kill() {
	s.t.Helper()
	s.Put("/cse-sr/sys", `{"version":"0.0.1"}`)
	s.process.Kill()
}

// Put writes a key.
func (s *Store) Put(key, value string) {
	s.t.Helper()
	if err := s.put(key, value); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Store) put(key, value string) error {
	body, err := json.Marshal(map[string][]byte{"key": []byte(key), "value": []byte(value)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.client+"/v3beta/kv/put", bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	if _, err = io.Copy(io.Discard, res.Body); err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("etcd answers %d", res.StatusCode)
	}
	return err
}

// Service writes a service of an application as a registration with heartbeats leaves it, and
// returns its serInstanceId. Its endpoint is known to the gateway by a name.
func (s *Store) Service(app, name, state string) (id string) {
	s.t.Helper()
	s.written++
	service, instance := fmt.Sprintf("%016x", len(name)), fmt.Sprintf("%016x", s.written)
	id = service + instance
	at := time.Now().Add(-time.Hour).UnixNano() // the swap took its time
	text := fmt.Sprintf("%d", at)
	value, err := json.Marshal(map[string]any{
		"instanceId": instance, "serviceId": service, "hostName": "default", "status": "UP", "version": "1.0.0", "timestamp": text[:10], "modTimestamp": text[:10],
		"endpoints":   []string{"http://mep-api-gw.mep:8000/" + s.GatewayName(name)},
		"healthCheck": map[string]any{"mode": "push", "interval": 2147483646},
		"properties": map[string]string{"serName": name, "version": "v1", "serializer": "JSON", "appInstanceId": app, "mecState": state, "livenessInterval": "60",
			"ScopeOfLocality": "MEC_HOST", "ConsumedLocalOnly": "true", "IsLocal": "true", "timestamp/seconds": text[:10], "timestamp/nanoseconds": text[10:],
			"liveness":     "/mep/mec_service_mgmt/v1/applications/" + app + "/services/" + id + "/liveness",
			"endPointType": "uris", "endpoint/http://10.0.0.5:80/": s.GatewayName(name),
			"transportInfo/id": "t1", "transportInfo/name": "REST", "transportInfo/type": "REST_HTTP", "transportInfo/protocol": "http", "transportInfo/version": "2.0"}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Put("/cse-sr/inst/files///"+service+"/"+instance, string(value))
	return id
}

// GatewayName is what the gateway calls the endpoint of the service that was written last.
func (s *Store) GatewayName(name string) string { return fmt.Sprintf("%s%020d", name, s.written) }

// Subscribe writes a subscription of an application to all changes of services.
func (s *Store) Subscribe(app, id, callback string) {
	s.t.Helper()
	s.Put("/cse-sr/etsi/subscribe/"+app+"/"+id, fmt.Sprintf(`{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":%q,`+
		`"_links":{"self":{}},"filteringCriteria":{"serInstanceIds":null,"serNames":null,"serCategories":null,"states":null}}`, callback))
}

// SubscribeTermination writes a subscription of an application to its own termination.
func (s *Store) SubscribeTermination(app, id, callback string) {
	s.t.Helper()
	s.Put("/cse-sr/etsi/app-end-subscribe/"+app+"/"+id, fmt.Sprintf(`{"subscriptionType":"AppTerminationNotificationSubscription","callbackReference":%q,`+
		`"_links":{"self":{}},"appInstanceId":%q}`, callback, app))
}
