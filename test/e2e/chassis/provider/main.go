// Command provider is a go-chassis application that offers a service: GET /hello answers
// with TEXT. It stops, and deregisters, at SIGTERM.
//
//	provider REGISTRY-TYPE REGISTRY-URL LISTEN APPID NAME VERSION TEXT
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/go-chassis/go-chassis/v2"
	"github.com/go-chassis/go-chassis/v2/server/restful"

	"github.com/mec-liveness/mepserver/test/e2e/chassis/application"
)

const configuration = `
servicecomb:
  registry:
    type: %s
    address: %s
    scope: full
    heartbeat:
      interval: 1s
  protocols:
    rest:
      listenAddress: %s
`

const description = `
servicecomb:
  service:
    app: %s
    name: %s
    version: %s
`

type greeter struct{ text string }

// Hello answers with the text.
func (g *greeter) Hello(b *restful.Context) { _ = b.Write([]byte(g.text)) }

// URLPatterns tells go-chassis the route.
func (g *greeter) URLPatterns() []restful.Route {
	return []restful.Route{{Method: http.MethodGet, Path: "/hello", ResourceFunc: g.Hello}}
}

func main() {
	application.EndWithInput()
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
}

func run(a []string) error {
	chassis.RegisterSchema("rest", &greeter{text: a[6]})
	if err := application.Init(application.Configuration{
		Chassis: fmt.Sprintf(configuration, a[0], a[1], a[2]), Microservice: fmt.Sprintf(description, a[3], a[4], a[5]),
	}); err != nil {
		return err
	}
	return chassis.Run()
}
