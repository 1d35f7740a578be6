package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// newPlatform stands for a platform: it has one service, of the application face-demo.
func newPlatform() *httptest.Server {
	const path = mp1.Base + "/applications/face-demo/services"
	const service = `{"serInstanceId":"5f2a","serName":"face-recognition","version":"1.0","state":"ACTIVE","serializer":"JSON","livenessInterval":30,
		"_links":{"self":{"href":"` + path + `/5f2a"},"liveness":{"href":"` + path + `/5f2a/liveness"}}}`
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, service)
	})
	mux.HandleFunc("PATCH "+path+"/5f2a/liveness", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("DELETE "+path+"/5f2a", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET "+path+"/5f2a", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"2"`)
		_, _ = io.WriteString(w, service)
	})
	mux.HandleFunc("PUT "+path+"/5f2a", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusPreconditionFailed) // somebody has made another change
		_, _ = io.WriteString(w, `{"status":412,"detail":"GET it again."}`)
	})
	mux.HandleFunc("GET "+mp1.Base+"/services", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "["+service+"]") })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"status":404,"detail":"There is no such service instance; register it (again)."}`)
	})
	return httptest.NewServer(mux)
}

// An application registers a service, sends a heartbeat and removes the service again.
// Package agent sends heartbeats in time, and registers again when that is necessary.
func Example() {
	platform := newPlatform()
	defer platform.Close()
	ctx := context.Background()
	c, err := client.New(client.Options{BaseURL: platform.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseIdle()

	interval := 30 // seconds
	service, err := c.Register(ctx, "face-demo", mp1.ServiceInfo{
		SerName:    "face-recognition",
		Version:    "1.0",
		State:      mp1.Active,
		Serializer: "JSON",
		TransportInfo: &mp1.TransportInfo{
			ID: "rest", Name: "REST", Type: "REST_HTTP", Protocol: "HTTP", Version: "2.0",
			Endpoint: mp1.EndPointInfo{URIs: []string{"http://10.0.0.7:8080/faces"}},
		},
		LivenessInterval: &interval,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(service.SerInstanceID, service.State, *service.LivenessInterval)

	if _, err := c.Beat(ctx, client.LivenessHref(service)); err != nil {
		log.Fatal(err)
	}
	if err := c.Remove(ctx, "face-demo", service.SerInstanceID); err != nil {
		log.Fatal(err)
	}
	// Output: 5f2a ACTIVE 30
}

// A consumer finds the services of a name.
func ExampleClient_Services() {
	platform := newPlatform()
	defer platform.Close()
	c, err := client.New(client.Options{BaseURL: platform.URL})
	if err != nil {
		log.Fatal(err)
	}
	found, err := c.Services(context.Background(), mp1.Filter{SerNames: []string{"face-recognition"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, service := range found {
		fmt.Println(service.SerName, service.Version, service.State)
	}
	// Output: face-recognition 1.0 ACTIVE
}

// What the platform refuses is a Problem. errors.Is says what kind of problem it is.
func ExampleProblem() {
	platform := newPlatform()
	defer platform.Close()
	c, err := client.New(client.Options{BaseURL: platform.URL})
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Service(context.Background(), "unknown")
	var problem *client.Problem
	switch {
	case errors.Is(err, client.ErrNotFound):
		fmt.Println(err)
	case errors.As(err, &problem):
		fmt.Println("ask again after", problem.RetryAfter)
	}
	// Output: mp1: 404 Not Found: There is no such service instance; register it (again).
}

// A change that is made of an older one is refused, so that what somebody else has changed
// meanwhile is not overwritten.
func ExampleIfMatch() {
	platform := newPlatform()
	defer platform.Close()
	ctx := context.Background()
	c, err := client.New(client.Options{BaseURL: platform.URL})
	if err != nil {
		log.Fatal(err)
	}
	var etag string
	service, err := c.ApplicationService(ctx, "face-demo", "5f2a", client.ETag(&etag))
	if err != nil {
		log.Fatal(err)
	}
	service.State = mp1.Inactive
	_, err = c.Update(ctx, "face-demo", "5f2a", service, client.IfMatch(etag))
	if errors.Is(err, client.ErrStale) {
		fmt.Println("somebody was faster; read it again")
	}
	// Output: somebody was faster; read it again
}

// A list of any length is read one by one.
func ExampleClient_EachService() {
	platform := newPlatform()
	defer platform.Close()
	c, err := client.New(client.Options{BaseURL: platform.URL})
	if err != nil {
		log.Fatal(err)
	}
	for service, err := range c.EachService(context.Background(), mp1.Filter{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(service.SerName)
	}
	// Output: face-recognition
}

// A consumer serves Notifications at the callback of its subscription. What comes twice is
// handed over once.
func ExampleNotifications() {
	consumer := httptest.NewServer(client.NewNotifications(func(_ context.Context, n mp1.Notification) error {
		for _, change := range n.ServiceReferences {
			fmt.Println(change.SerName, change.ChangeType, change.State)
		}
		return nil // only now the platform is told that it was taken
	}))
	defer consumer.Close()

	// The platform does this:
	for range 2 {
		r, err := http.NewRequest(http.MethodPost, consumer.URL, strings.NewReader(`{"notificationType":"SerAvailabilityNotification",
			"serviceReferences":[{"serName":"face-recognition","serInstanceId":"5f2a","state":"SUSPENDED","changeType":"STATE_CHANGED"}],
			"_links":{"subscription":{"href":"/mec_service_mgmt/v1/applications/face-demo/subscriptions/1"}}}`))
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("webhook-id", "1-a-7-7")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		_ = answer.Body.Close()
		fmt.Println(answer.StatusCode)
	}
	// Output:
	// face-recognition STATE_CHANGED SUSPENDED
	// 204
	// 204
}

// A consumer that takes only what the platform signed, by a key that its operator gave it.
// Client.WebhookKeys in place of FixedKeys reads the keys from the platform.
func ExampleVerifiedBy() {
	keys, err := client.FixedKeys("whpk_TQ+Qa5CTqlmV/4dxYXU7Ay/UQJzfW+qBpsLTn/ijjXw=")
	if err != nil {
		log.Fatal(err)
	}
	consumer := httptest.NewServer(client.NewNotifications(func(context.Context, mp1.Notification) error {
		fmt.Println("never called")
		return nil
	}, client.VerifiedBy(client.NewVerifier(keys))))
	defer consumer.Close()

	// Somebody else does this:
	answer, err := http.Post(consumer.URL, "application/json", strings.NewReader(`{"notificationType":"SerAvailabilityNotification"}`))
	if err != nil {
		log.Fatal(err)
	}
	_ = answer.Body.Close()
	fmt.Println(answer.StatusCode)
	// Output: 403
}
