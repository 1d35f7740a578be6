// Command bench prints what a mepserver really does on this machine: how long death
// takes to be noticed, and how many heartbeats a second it answers. It knows the
// binary and the wire; its figures are printed and never judged, for machines differ.
//
//	go run ./test/bench --help
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const help = `bench measures a mepserver that it builds and starts itself, on loopback.

  go run ./test/bench suite [-quick] [-million] [-write] [-profile FOLDER] [-seed N] [-base URL ...] [NAME ...]
                                               everything that has a target, beside its baselines, as a table; -h has more
  go run ./test/bench deaths [-n 100]          time from the last heartbeat to being hidden, interval 1 s, allowedMisses 1
  go run ./test/bench beats [-over plain,tls,jwt] [-earlier MEPSERVER] [-seconds 5] [-conns 32] [-services 1000] [-rounds 3] [-etcd-endpoints URL,...]
                                               heartbeats a second, beside a bare net/http handler in the same run: over plain
                                               HTTP, over TLS, and over TLS with a token in each; -earlier is another
                                               mepserver to compare with, over plain HTTP
  go run ./test/bench discovery [-services 10000]
                                               registration and discovery as the number of services grows
  go run ./test/bench fanout [-subscribers 1000] [-rounds 3]
                                               time from a change to each of many subscribers being told of it
  go run ./test/bench subscriptions [-subscribers 10000] [-n 1000]
                                               writes and processor time of a change, beside subscriptions that it does not match
  go run ./test/bench slow [-conns 2000] [-seconds 5] [-rounds 3]
                                               heartbeats beside clients that idle, drip and do not read
  go run ./test/bench readers [-conns 5000] [-seconds 5] [-rounds 3]
                                               heartbeats beside readers of the event stream, which run at nice 19
  go run ./test/bench flood [-seconds 5] [-rounds 3]
                                               heartbeats beside others who ask for lists, register and find as fast as they can
  go run ./test/bench greedy [-seconds 5] [-rounds 3] [KIND ...]
                                               heartbeats over TLS with tokens beside one identity that floods the server: p99 with and without,
                                               and beside the same flood of a bare server; the flood itself runs at nice 19, for a real
                                               one has processors of its own
  go run ./test/bench hostile [-services 4000] [-rounds 3]
                                               memory while labels, finds and unread answers are made up, round after round
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	do, args := run, os.Args[1:]
	if len(args) > 0 && args[0] == "suite" { // which has flags of its own
		do, args = runSuite, args[1:]
	}
	if err := do(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" {
		fmt.Print(help)
		return nil
	}
	fs := flag.NewFlagSet(args[0], flag.ContinueOnError)
	n := fs.Int("n", 0, "deaths, or changes")
	seconds := fs.Int("seconds", 5, "seconds per measurement")
	conns := fs.Int("conns", 0, "connections")
	services := fs.Int("services", 0, "services registered")
	rounds := fs.Int("rounds", 3, "rounds")
	endpoints := fs.String("etcd-endpoints", "", "an etcd cluster to use, which is written to; empty: the embedded one")
	over := fs.String("over", "plain,tls,jwt", "what heartbeats are sent over")
	earlier := fs.String("earlier", "", "another mepserver, to compare with")
	subscribers := fs.Int("subscribers", 0, "subscribers")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "bare":
		return serveBare(ctx, fs.Arg(0), fs.Arg(1))
	case "deaths":
		if *n == 0 {
			*n = 100
		}
		return deaths(ctx, *n)
	case "beats":
		if *services == 0 {
			*services = 1000
		}
		if *conns == 0 {
			*conns = 32
		}
		return beats(ctx, *endpoints, *earlier, strings.Split(*over, ","), *services, *conns, *rounds, time.Duration(*seconds)*time.Second)
	case "discovery":
		if *services == 0 {
			*services = 10000
		}
		return discovery(ctx, *services)
	case "fanout":
		if *subscribers == 0 {
			*subscribers = 1000
		}
		return fanout(ctx, *subscribers, *rounds)
	case "subscriptions":
		if *subscribers == 0 {
			*subscribers = 10000
		}
		if *n == 0 {
			*n = 1000
		}
		return subscriptions(ctx, *subscribers, *n)
	case "slow":
		if *conns == 0 {
			*conns = 2000
		}
		return slow(ctx, *conns, *rounds, time.Duration(*seconds)*time.Second)
	case "readers":
		if *conns == 0 {
			*conns = 5000
		}
		return readers(ctx, *conns, *rounds, time.Duration(*seconds)*time.Second)
	case "reading":
		return serveReading(ctx, fs.Args())
	case "flood":
		return flood(ctx, *rounds, time.Duration(*seconds)*time.Second)
	case "greedy":
		return greedy(ctx, fs.Args(), *rounds, time.Duration(*seconds)*time.Second)
	case "flooding":
		return serveFlood(ctx, fs.Args())
	case "hostile":
		if *services == 0 {
			*services = 4000
		}
		return hostileMemory(ctx, *services, *rounds)
	default:
		return fmt.Errorf("unknown measurement %q; --help lists them", args[0])
	}
}
