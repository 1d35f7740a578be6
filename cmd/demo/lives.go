package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/mp1"
)

// The life of the agent that dies: one period after the other.
const (
	aliveBefore = 10 * time.Second
	deadFor     = 12 * time.Second
	aliveAfter  = 8 * time.Second
)

// interval is how often each service beats, in seconds.
const interval = 2

// application is one of the demo's, with its services.
type application struct {
	id       string
	services []string
	mortal   bool // its agent dies and another one is started
}

func applications() []application {
	return []application{
		{id: "traffic-cameras", services: []string{"face-recognition", "plate-recognition"}},
		{id: "robot-arm", services: []string{"collision-warning"}, mortal: true},
	}
}

// live starts the agents of all applications; they end with ctx.
func live(ctx context.Context, base string, say func(string, ...any), lives *sync.WaitGroup) error {
	for i, a := range applications() {
		run := func(ctx context.Context) error {
			made, err := agent.New(agent.Options{App: a.id, Endpoints: []string{base}, Services: described(a, i), OnStop: agent.Leave})
			if err != nil {
				return err
			}
			return made.Run(ctx)
		}
		for _, name := range a.services {
			say("the agent of %s starts, of the application %s", name, a.id)
		}
		life := func() error { return run(ctx) }
		if a.mortal {
			life = func() error { return dieAndComeBack(ctx, a.services[0], run, say) }
		}
		lives.Go(func() {
			if err := life(); err != nil {
				say("the agent of %s ended: %v", a.id, err)
			}
		})
	}
	return nil
}

// described is what an application registers. The addresses lead nowhere: nobody calls them.
func described(a application, number int) (all []agent.Service) {
	seconds := interval
	for i, name := range a.services {
		all = append(all, agent.Service{Info: mp1.ServiceInfo{
			SerName: name, Version: "1.0.0", State: mp1.Active, Serializer: "JSON", LivenessInterval: &seconds,
			TransportInfo: &mp1.TransportInfo{ID: "rest", Name: "REST", Type: "REST_HTTP", Protocol: "HTTP", Version: "2.0",
				Endpoint: mp1.EndPointInfo{URIs: []string{fmt.Sprintf("http://127.0.0.1:%d/%s", 40000+10*number+i, name)}}},
		}})
	}
	return all
}

// dieAndComeBack runs one agent after the other until ctx ends. An agent that dies says nothing
// to the platform: its heartbeats just stop, as when its process is killed.
func dieAndComeBack(ctx context.Context, name string, run func(context.Context) error, say func(string, ...any)) error {
	alive := aliveBefore
	for {
		living, die := context.WithTimeout(ctx, alive)
		err := run(living)
		die()
		if err != nil || ctx.Err() != nil {
			return err
		}
		say("the agent of %s is dead: no heartbeat comes any more", name)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(deadFor):
		}
		say("another agent of %s is started, finds its registration and goes on", name)
		alive = aliveAfter + aliveBefore
	}
}
