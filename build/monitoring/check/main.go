// Command check makes the dashboard, and reads it and the rules of alerts as those will who use
// them: Grafana's own schema, strictly, and Prometheus's own parser. It is a module of its own, for
// the server needs neither. It knows the files of build/monitoring; it must not know which metrics
// there are, which test/monitoring asks a running server.
//
//	go run . dashboard >../dashboard.json
//	go run . uses ../dashboard.json ../alerts.yaml
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "dashboard":
		text, err := render()
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(text)
		return err
	case len(args) == 3 && args[0] == "uses":
		found, err := read(args[1], args[2])
		if err != nil {
			return err
		}
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", " ")
		return e.Encode(found)
	default:
		return fmt.Errorf("usage: check dashboard, or check uses DASHBOARD RULES")
	}
}
