// Command scclient does with go-chassis' sc-client what a ServiceComb consumer does: it
// asks for service-center's health, takes its endpoints over, registers, finds a service
// of another appId and watches it. It says each step on a line of its own. It must know
// nothing of this project.
//
//	scclient HOST:PORT APPID NAME
//
// It ends when its standard input does.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-chassis/cari/discovery"
	"github.com/go-chassis/sc-client"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
}

func run(address, app, name string) error {
	c, err := sc.NewClient(sc.Options{Endpoints: []string{address}})
	if err != nil {
		return err
	}
	replicas, err := c.Health()
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	for _, r := range replicas {
		fmt.Println("health", r.Status, strings.Join(r.Endpoints, " "))
	}
	if err := c.SyncEndpoints(); err != nil {
		return err
	}
	fmt.Println("synced") // from here on it talks to what health told
	me, err := c.RegisterService(&discovery.MicroService{AppId: "shop", ServiceName: "cart", Version: "1.0.0"})
	if err != nil {
		return err
	}
	instance, err := c.RegisterMicroServiceInstance(&discovery.MicroServiceInstance{ServiceId: me, HostName: "cart", Endpoints: []string{"rest://127.0.0.1:1"}, Status: sc.MSInstanceUP})
	if err != nil {
		return err
	}
	if ok, err := c.Heartbeat(me, instance); err != nil || !ok {
		return fmt.Errorf("heartbeat: %t %w", ok, err)
	}
	found, err := c.FindMicroServiceInstances(me, app, name, "latest", sc.WithoutRevision())
	if err != nil {
		return err
	}
	for _, i := range found {
		fmt.Println("found", i.Status, strings.Join(i.Endpoints, " "))
	}
	batch, err := c.BatchFindInstances(me, []*discovery.FindService{{Service: &discovery.MicroServiceKey{AppId: app, ServiceName: name, Version: "0+"}}}, sc.WithoutRevision())
	if err != nil {
		return err
	}
	for _, one := range batch.Services.Updated {
		for _, i := range one.Instances {
			fmt.Println("batch", i.Status, strings.Join(i.Endpoints, " "))
		}
	}
	if len(found) > 0 {
		all, err := c.GetMicroServiceInstances(me, found[0].ServiceId, sc.WithoutRevision())
		if err != nil {
			return err
		}
		fmt.Println("instances", len(all))
	}
	if err := c.WatchMicroService(me, func(e *sc.MicroServiceInstanceChangedEvent) {
		fmt.Println("event", e.Action, e.Instance.Status, e.Key.AppId, e.Key.ServiceName)
	}); err != nil {
		return err
	}
	fmt.Println("watching")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
