// Command scclient does with go-chassis' sc-client what a ServiceComb consumer does: it
// asks for service-center's health, takes its endpoints over, registers, finds a service
// of another appId and watches it. It says each step on a line of its own. It must know
// nothing of this project.
//
//	scclient [-ca FILE] [-cert FILE -key FILE] [-account NAME -password FILE] HOST:PORT APPID NAME
//
// With -ca it speaks TLS. It ends when its standard input does.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-chassis/cari/discovery"
	"github.com/go-chassis/cari/rbac"
	"github.com/go-chassis/sc-client"
)

func main() {
	var i identity
	flag.StringVar(&i.ca, "ca", "", "certificates that sign the server's")
	flag.StringVar(&i.cert, "cert", "", "its own certificate")
	flag.StringVar(&i.key, "key", "", "the key of -cert")
	flag.StringVar(&i.account, "account", "", "the account of service-center")
	flag.StringVar(&i.password, "password", "", "a file with its password")
	flag.Parse()
	if err := run(i, flag.Arg(0), flag.Arg(1), flag.Arg(2)); err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
}

// identity is what the client proves itself with, as files and names.
type identity struct{ ca, cert, key, account, password string }

func (i identity) options(address string) (sc.Options, error) {
	o := sc.Options{Endpoints: []string{address}}
	if i.ca != "" {
		pem, err := os.ReadFile(i.ca)
		if err != nil {
			return o, err
		}
		o.EnableSSL, o.TLSConfig = true, &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		if !o.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
			return o, errors.New("-ca holds no certificate")
		}
	}
	if i.cert != "" {
		pair, err := tls.LoadX509KeyPair(i.cert, i.key)
		if err != nil {
			return o, err
		}
		o.TLSConfig.Certificates = []tls.Certificate{pair}
	}
	if i.account != "" {
		password, err := os.ReadFile(i.password)
		if err != nil {
			return o, err
		}
		o.EnableAuth, o.AuthUser = true, &rbac.AuthUser{Username: i.account, Password: strings.TrimSpace(string(password))}
	}
	return o, nil
}

func run(i identity, address, app, name string) error {
	o, err := i.options(address)
	if err != nil {
		return err
	}
	c, err := sc.NewClient(o)
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
