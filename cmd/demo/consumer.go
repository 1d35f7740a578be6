package demo

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// consumerID is the appInstanceId of the consumer.
const consumerID = "control-room"

const headerTimeout = 5 * time.Second

// consumer is an application that is told of every change of every service.
type consumer struct{ server *http.Server }

func (c consumer) close() { _ = c.server.Close() }

// subscribe has a consumer listen on loopback and subscribe. It says what it is told, and what
// discovery finds then.
func subscribe(ctx context.Context, c *client.Client, say func(string, ...any)) (consumer, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return consumer{}, err
	}
	tell := func(ctx context.Context, n mp1.Notification) error {
		for _, change := range n.ServiceReferences {
			say("the consumer is told: %s", sentence(change))
		}
		if names, err := discovered(ctx, c); err == nil {
			say("discovery finds: %s", names)
		}
		return nil
	}
	to := client.NewNotifications(tell, client.VerifiedBy(client.NewVerifier(c.WebhookKeys)), client.OfApplication(consumerID))
	made := consumer{&http.Server{Handler: to, ReadHeaderTimeout: headerTimeout}}
	go func() { _ = made.server.Serve(l) }()
	_, err = c.Resubscribe(ctx, consumerID, mp1.Subscription{CallbackReference: "http://" + l.Addr().String() + "/"})
	if err != nil {
		made.close()
	}
	return made, err
}

// sentence is what a notification says, in words.
func sentence(change mp1.ServiceReference) string {
	switch change.ChangeType {
	case mp1.Added:
		return change.SerName + " is there and " + string(change.State)
	case mp1.Removed:
		return change.SerName + " is gone"
	}
	return change.SerName + " is " + string(change.State)
}

// discovered is what an application that looks for services finds now.
func discovered(ctx context.Context, c *client.Client) (string, error) {
	var names []string
	for service, err := range c.EachService(ctx, mp1.Filter{}) {
		if err != nil {
			return "", err
		}
		names = append(names, service.SerName)
	}
	if len(names) == 0 {
		return "nothing", nil
	}
	slices.Sort(names)
	return strings.Join(names, ", "), nil
}
