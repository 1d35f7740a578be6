// Package agent registers the services of a MEC application at its platform (ETSI GS
// MEC 011, Mp1), sends their heartbeats, and registers them again when the platform has
// forgotten them. An application embeds it, or runs the command mep-agent beside itself.
//
// New checks the [Options] and sends nothing. [Agent.Run] works until its context ends:
//
//	interval := 0 // the platform chooses
//	a, err := agent.New(agent.Options{
//		App:       "my-app",
//		Endpoints: []string{"http://127.0.0.1:30100"},
//		Services:  []agent.Service{{Info: mp1.ServiceInfo{SerName: "face-recognition", LivenessInterval: &interval /* ... */}}},
//	})
//	if err != nil {
//		return err
//	}
//	return a.Run(ctx)
//
// While it runs, [Agent.Add], [Agent.Update] and [Agent.Remove] change which services there
// are. [Agent.Ready] and [Agent.Status] say how they are, [Agent.Local] serves both by HTTP,
// and Options.OnChange is called when that changes. No error of the platform ends Run: what fails is
// tried again, after a wait that grows, or after the one that the platform asks for.
//
// A [TokenSource] brings the bearer tokens of the requests, [NewTransport] the
// certificates, and a [Probe] stops the heartbeats of an application that is not well.
//
// # Inside
//
// One loop owns every service. What is due next lies in a heap, and only what is under way
// has a goroutine: as many as it takes to be in time, up to a bound (ADR 0031). Each service
// is in a stage, which changes by one table only: see docs/agent.md.
//
// The package knows Mp1 through package mp1/client, and when a heartbeat is due. It must
// not know the server behind Mp1, nor the files and flags that configure an agent.
package agent
