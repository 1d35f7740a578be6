package client_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// A program follows every change of every service. It keeps the id of what it has handled, and
// goes on behind it when it starts again.
func ExampleClient_Events() {
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mp1.EventStreamType)
		_, _ = io.WriteString(w, "id: 7\nevent: reset\ndata: {\"revision\":7,\"services\":[{\"serName\":\"face-recognition\",\"state\":\"ACTIVE\"}]}\n\n"+
			"id: 9\nevent: change\ndata: {\"revision\":9,\"serName\":\"face-recognition\",\"change\":\"STATE_CHANGED\",\"from\":\"ACTIVE\",\"to\":\"SUSPENDED\"}\n\n")
	}))
	defer platform.Close()
	c, err := client.New(client.Options{BaseURL: platform.URL})
	if err != nil {
		log.Fatal(err)
	}
	lastID := "" // or the one that was kept
	for e, err := range c.Events(context.Background(), mp1.Filter{}, lastID) {
		switch {
		case err != nil:
			fmt.Printf("lost behind %s; to go on with the loop is to connect again: %v\n", lastID, err)
			return
		case e.Reset != nil:
			for _, s := range e.Reset.Services {
				fmt.Println("there is", s.SerName, s.State)
			}
		case e.Change != nil:
			fmt.Println(e.Change.SerName, e.Change.Change, e.Change.From, e.Change.To)
		}
		lastID = e.ID
	}
	// Output:
	// there is face-recognition ACTIVE
	// face-recognition STATE_CHANGED ACTIVE SUSPENDED
	// lost behind 9; to go on with the loop is to connect again: mp1 client: the platform has ended the event stream
}
