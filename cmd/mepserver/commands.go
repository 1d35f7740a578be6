package main

import (
	"context"
	"errors"

	"github.com/mec-liveness/mepserver/conf"
)

const appTakes = "add ID, rotate ID, remove ID or list"

// commands are all there are.
func commands() []command {
	return []command{
		{name: "init", alone: true, run: initialise, flags: []option{{name: "host"}, {name: "dir"}, {name: "listen"}, {name: "data-dir"}, {name: "etcd-endpoints"},
			{name: "if-missing", toggle: true}, {name: "renew", toggle: true}}, help: initHelp},
		{name: "app add", args: []string{"ID"}, run: addCredential, flags: append(reach(), shows(), option{name: "out"},
			option{name: "role"}, option{name: "apps"}, option{name: "if-missing", toggle: true}), help: addHelp},
		{name: "app rotate", args: []string{"ID"}, run: rotateCredential, flags: append(reach(), shows(), option{name: "out"},
			option{name: "grace"}, option{name: "now", toggle: true}), help: rotateHelp},
		{name: "app remove", args: []string{"ID"}, run: removeCredential, flags: reach(), help: removeHelp},
		{name: "app list", run: listCredentials, flags: append(reach(), shows()), help: listHelp},
		{name: "app", alone: true, takes: appTakes, help: appHelp, run: func(context.Context, environment, conf.Config, given) error {
			return errors.New("mepserver app takes " + appTakes + "; --help says more")
		}},
		{name: "check", files: true, run: check, help: checkHelp},
		{name: "backup", args: []string{"FILE"}, flags: []option{{name: "force", toggle: true}}, run: backup, help: backupHelp},
		{name: "restore", args: []string{"FILE"}, run: restore, help: restoreHelp},
		{name: "import", flags: []option{{name: "edgegallery"}, {name: "dry-run", toggle: true}, {name: "discard", toggle: true}}, run: importStore, help: importHelp},
		{name: "demo", alone: true, flags: []option{{name: "listen"}, {name: "data-dir"}, {name: "for"}}, run: runDemo, help: demoHelp},
		{name: "example", help: exampleHelp, run: func(_ context.Context, p environment, _ conf.Config, _ given) error {
			_, err := p.out.Write(conf.ServerExample())
			return err
		}},
	}
}

// reach are the flags that say how a command reaches a server other than by its socket.
func reach() []option { return []option{{name: "url"}, {name: "ca"}, {name: "credential-file"}} }

func shows() option { return option{name: "o"} }
