package conf

import _ "embed" // the example is part of the program, for an installed one has no file beside it

//go:embed mep-agent.yaml
var agentExample []byte

// AgentExample is a configuration of mep-agent with every setting, explained: the file
// mep-agent.yaml of this package.
func AgentExample() []byte { return agentExample }
