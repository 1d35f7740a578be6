package conf

import _ "embed" // the examples are part of the programs, for an installed one has no file beside it

//go:embed mep-agent.yaml
var agentExample []byte

//go:embed mepserver.yaml
var serverExample []byte

// AgentExample is a configuration of mep-agent with every setting, explained: the file
// mep-agent.yaml of this package. ServerExample is the same of mepserver.
func AgentExample() []byte { return agentExample }

// ServerExample is described at AgentExample.
func ServerExample() []byte { return serverExample }
