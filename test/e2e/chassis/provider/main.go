// Command provider is a go-chassis application that greets. Its configuration makes it a MEC
// application, or one of service-center's.
package main

import (
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-chassis/go-chassis/v2"
	"github.com/go-chassis/go-chassis/v2/server/restful"

	mec "github.com/mec-liveness/mepserver/agent/chassis"
)

type greeter struct{}

// Hello answers GET /hello.
func (*greeter) Hello(c *restful.Context) { _ = c.Write([]byte(os.Getenv("GREETING"))) }

// URLPatterns tells go-chassis the route.
func (*greeter) URLPatterns() []restful.Route {
	return []restful.Route{{Method: http.MethodGet, Path: "/hello", ResourceFuncName: "Hello"}}
}

func main() {
	mec.Install(mec.Options{}) // before Init
	chassis.RegisterSchema("rest", &greeter{})
	if err := chassis.Init(); err != nil {
		log.Fatal(err)
	}
	early := make(chan os.Signal, 1)
	signal.Notify(early, syscall.SIGTERM)
	go comeAgain(early)
	if err := chassis.Run(); err != nil { // until SIGTERM or SIGINT
		log.Fatal(err)
	}
}

// comeAgain has each signal come again until it is obeyed: go-chassis takes signals only a moment
// after it has registered, and one that came before would end the process as it is.
func comeAgain(signals <-chan os.Signal) {
	for range signals {
		time.Sleep(100 * time.Millisecond)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}
}
