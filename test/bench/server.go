package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
)

// start builds mepserver and runs it with a store of its own, until stop is called or the
// context ends.
func start(ctx context.Context, env ...string) (s *mep.Server, stop func(), err error) {
	return startWith(ctx, mep.Options{Env: env})
}

// build builds mepserver, which remove erases.
func build() (remove func(), err error) {
	fmt.Println("building mepserver ...")
	return mep.Build()
}

// startWith is start with other Options, such as an etcd cluster.
func startWith(ctx context.Context, o mep.Options) (s *mep.Server, stop func(), err error) {
	remove, err := build()
	if err != nil {
		return nil, nil, err
	}
	o.DataDir, o.Timeout = filepath.Join(filepath.Dir(mep.Binary()), "data"), 30*time.Second
	if s, err = o.Launch(); err != nil {
		remove()
		return nil, nil, err
	}
	fmt.Print(s.Line)
	interrupted := context.AfterFunc(ctx, s.Kill)
	return s, func() { interrupted(); s.Kill(); remove() }, nil
}

// spread prints a distribution.
func spread(what string, d []time.Duration) {
	if len(d) == 0 {
		return
	}
	slices.Sort(d)
	at := func(p float64) time.Duration {
		return d[min(int(p*float64(len(d))), len(d)-1)].Round(10 * time.Microsecond)
	}
	fmt.Printf("%-40s n=%d min=%v p50=%v p90=%v p99=%v max=%v\n", what, len(d), at(0), at(.5), at(.9), at(.99), at(1))
}
