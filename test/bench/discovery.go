package main

import (
	"context"
	"fmt"
	"time"

	"github.com/mec-liveness/mepserver/test/mep"
)

// discovery registers services and shows what registration and each query cost as
// their number grows.
func discovery(ctx context.Context, services int) error {
	s, stop, err := start(ctx, "MEP_LIVENESS_MAX_INTERVAL=3600s")
	if err != nil {
		return err
	}
	defer stop()
	var ids []string
	for n := 0; n < services; {
		var reg []time.Duration
		for end := min(n+services/10, services); n < end; n++ {
			at := time.Now()
			v, err := s.TryRegister(fmt.Sprint("app", n/500), fmt.Sprint("s", n), 3600)
			if err != nil {
				return err
			}
			reg = append(reg, time.Since(at))
			ids = append(ids, v.ID)
		}
		spread(fmt.Sprintf("register, up to %d services", n), reg)
	}
	for what, path := range map[string]func(int) string{
		"GET /services?ser_name=":        func(i int) string { return fmt.Sprintf("/services?ser_name=s%d", i) },
		"GET /services?ser_instance_id=": func(i int) string { return "/services?ser_instance_id=" + ids[i] },
		"GET /services/{id}":             func(i int) string { return "/services/" + ids[i] },
		"GET /applications/{a}/services": func(i int) string { return fmt.Sprintf("/applications/app%d/services", i/500) },
		"GET /services (all)":            func(int) string { return "/services" },
	} {
		n := 1000
		if what == "GET /services (all)" {
			n = 20
		}
		var d []time.Duration
		size := 0
		for i := range n {
			at := time.Now()
			a, err := s.Try("GET", mep.Base+path(i*7919%services), "")
			if err != nil || a.Status != 200 {
				return fmt.Errorf("%s: %d %w", what, a.Status, err)
			}
			d, size = append(d, time.Since(at)), len(a.Body)
		}
		spread(fmt.Sprintf("%s (%d bytes)", what, size), d)
	}
	return nil
}
