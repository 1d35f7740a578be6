// Package application starts a go-chassis application with a configuration of its own. It
// knows go-chassis' files; it must not know what the application offers or calls.
package application

import (
	"io"
	"os"
	"path/filepath"

	"github.com/go-chassis/go-chassis/v2"

	mec "github.com/mec-liveness/mepserver/agent/chassis"
)

// Configuration are the two files of an application.
type Configuration struct {
	Chassis      string // chassis.yaml
	Microservice string // microservice.yaml
}

// Init writes the configuration and initialises go-chassis with it, with the plugins for Mp1
// beside its own.
func Init(c Configuration) error {
	home, err := os.MkdirTemp("", "chassis-")
	if err != nil {
		return err
	}
	conf := filepath.Join(home, "conf")
	if err := os.Mkdir(conf, 0o700); err != nil {
		return err
	}
	for name, text := range map[string]string{"chassis.yaml": c.Chassis, "microservice.yaml": c.Microservice} {
		if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := os.Setenv("CHASSIS_HOME", home); err != nil {
		return err
	}
	mec.Install(mec.Options{})
	return chassis.Init()
}

// EndWithInput ends the process when its standard input does, so that none outlives its test.
func EndWithInput() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}
