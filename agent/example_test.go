package agent_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/mp1"
)

// An application offers a service, and leaves the interval of its heartbeats to the
// platform. It is registered, heard for the first time, and removed at the end.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	platform := platform(stop)
	defer platform.Close()

	interval := 0 // the platform chooses
	a, err := agent.New(agent.Options{
		App:       "my-app",
		Endpoints: []string{platform.URL}, // such as http://127.0.0.1:30100
		Services: []agent.Service{{Info: mp1.ServiceInfo{
			SerName: "face-recognition", Version: "1.0.0", State: mp1.Active, Serializer: "JSON",
			LivenessInterval: &interval,
			TransportInfo: &mp1.TransportInfo{ID: "rest", Name: "REST", Type: "REST_HTTP", Protocol: "HTTP", Version: "2.0",
				Endpoint: mp1.EndPointInfo{URIs: []string{"http://10.0.0.5:8080/face"}}},
		}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := a.Run(ctx); err != nil { // until ctx ends
		fmt.Println(err)
	}
	// Output:
	// GET /mec_service_mgmt/v1/applications/my-app/services
	// POST /mec_service_mgmt/v1/applications/my-app/services
	// PATCH /liveness
	// GET /liveness
	// DELETE /mec_service_mgmt/v1/applications/my-app/services/1
}

// platform answers in a platform's place and shows what it is asked. It stops the
// application when its service is alive.
func platform(stop func()) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
		w.Header().Set("Mep-Agent", r.Header.Get("Mep-Agent")) // it keeps agents
		switch r.Method + " " + r.URL.Path {
		case "POST /mec_service_mgmt/v1/applications/my-app/services":
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"serInstanceId":"1","state":"ACTIVE","livenessInterval":30,"_links":{"self":{"href":"/1"},"liveness":{"href":"/liveness"}}}`)
		case "GET /mec_service_mgmt/v1/applications/my-app/services":
			_, _ = io.WriteString(w, `[]`)
		case "GET /liveness":
			_, _ = io.WriteString(w, `{"state":"ACTIVE","timeStamp":{"seconds":1,"nanoSeconds":0},"interval":30}`)
			stop()
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
}

// The lines of the agent go to log/slog; here without their times.
func ExampleOptions() {
	ctx, stop := context.WithCancel(context.Background())
	stop() // it ends at once
	a, err := agent.New(agent.Options{
		App:       "my-app",
		Endpoints: []string{"http://127.0.0.1:30100"},
		OnStop:    agent.Leave,
		Log: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := a.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: level=INFO msg="stopped; the services are left at the platform"
}

// A program that starts and ends services while it runs begins with none, and is told what
// becomes of them.
func ExampleAgent_Add() {
	platform := quietPlatform()
	defer platform.Close()
	changes := make(chan agent.Change, 100)
	a, err := agent.New(agent.Options{App: "my-app", Endpoints: []string{platform.URL},
		OnChange: func(c agent.Change) { changes <- c }})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()

	until := func(done func(agent.Status) bool) {
		for c := range changes {
			if done(c.After) {
				fmt.Println(c.After.Service, c.After.State)
				return
			}
		}
	}
	info := mp1.ServiceInfo{SerName: "detector", Version: "1.0.0", State: mp1.Active, Serializer: "JSON",
		TransportInfo: &mp1.TransportInfo{ID: "rest", Name: "REST", Type: "REST_HTTP", Protocol: "HTTP", Version: "2.0",
			Endpoint: mp1.EndPointInfo{URIs: []string{"http://10.0.0.5:8080/detector"}}}}
	name, err := a.Add(agent.Service{Info: info})
	if err != nil {
		fmt.Println(err)
	}
	until(func(s agent.Status) bool { return s.Ready })

	if err := a.Remove(name); err != nil {
		fmt.Println(err)
	}
	until(func(s agent.Status) bool { return s.State == agent.StateDeregistered })

	stop()
	if err := <-ended; err != nil {
		fmt.Println(err)
	}
	// Output:
	// detector no heartbeats
	// detector deregistered
}

// quietPlatform answers in a platform's place. It requires no heartbeats.
func quietPlatform() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"serInstanceId":"1","state":"ACTIVE","_links":{"self":{"href":"/1"}}}`)
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			_, _ = io.WriteString(w, `[]`)
		}
	}))
}
