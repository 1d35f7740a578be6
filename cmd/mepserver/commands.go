package main

import (
	"context"
	"errors"
	"slices"

	"github.com/mec-liveness/mepserver/conf"
)

const appTakes = "add ID, rotate ID, remove ID or list"

// commands are all there are. Completion is made of them, too.
func commands() []command {
	return slices.Concat(platformCommands(), credentialCommands(), operatorCommands(), storeCommands())
}

// platformCommands make a platform, or something to look at.
func platformCommands() []command {
	return []command{
		{name: "demo", alone: true, serves: true, flags: []option{{name: "listen"}, {name: "data-dir", file: true}, {name: "for"}}, run: runDemo, help: demoHelp},
		{name: "init", alone: true, run: initialise, flags: []option{{name: "host"}, {name: "dir", file: true}, {name: "listen"}, {name: "data-dir", file: true},
			{name: "etcd-endpoints"}, {name: "if-missing", toggle: true}, {name: "renew", toggle: true}}, help: initHelp},
		{name: "example", help: exampleHelp, run: func(_ context.Context, p environment, _ conf.Config, _ given) error {
			_, err := p.out.Write(conf.ServerExample())
			return err
		}},
		{name: "completion", alone: true, args: []string{"SHELL"}, takes: "bash, zsh or fish", run: complete, help: completionHelp},
		{name: "help", alone: true, args: []string{"[COMMAND]", "[WORD]"}, run: explain, help: helpHelp},
		{name: "version", alone: true, run: printVersion, help: versionHelp},
	}
}

func credentialCommands() []command {
	secret := func(more ...option) []option {
		return slices.Concat(reach(), []option{shows(asText, asJSON, asSecret), {name: "out", file: true}}, more)
	}
	return []command{
		{name: "app add", args: []string{"ID"}, run: addCredential, flags: secret(option{name: "role", values: conf.RoleNames()},
			option{name: "apps"}, option{name: "if-missing", toggle: true}), help: addHelp},
		{name: "app rotate", args: []string{"ID"}, run: rotateCredential, flags: secret(option{name: "grace"}, option{name: "now", toggle: true}), help: rotateHelp},
		{name: "app remove", args: []string{"ID"}, run: removeCredential, flags: reach(), help: removeHelp},
		{name: "app list", run: listCredentials, flags: append(reach(), shows(asText, asJSON)), help: listHelp},
		{name: "app", alone: true, takes: appTakes, help: appHelp, run: func(context.Context, environment, conf.Config, given) error {
			return errors.New("mepserver app takes " + appTakes + "; --help says more")
		}},
	}
}

// operatorCommands ask a running server.
func operatorCommands() []command {
	return []command{
		{name: "services", args: []string{"[ID|NAME]"}, run: showServices, flags: slices.Concat(reach(), []option{shows(asText, asWide, asJSON),
			{name: "state", values: []string{"ACTIVE", "SUSPENDED", "INACTIVE"}}, {name: "app"}, {name: "name"}, {name: "late", toggle: true}, {name: "drained", toggle: true}}),
			help: servicesHelp},
		{name: "watch", run: watchServices, flags: append(reach(), shows(asText, asJSON), option{name: "since"}), help: watchHelp},
		{name: "doctor", run: doctor, flags: append(reach(), shows(asText, asJSON)), help: doctorHelp},
		{name: "drain", args: []string{"ID|NAME"}, run: drainService, flags: append(reach(), shows(asText, asJSON), option{name: "reason"}), help: drainHelp},
		{name: "undrain", args: []string{"ID|NAME"}, run: undrainService, flags: append(reach(), shows(asText, asJSON)), help: undrainHelp},
	}
}

// storeCommands are of the store of one server.
func storeCommands() []command {
	return []command{
		{name: "check", files: true, run: check, help: checkHelp},
		{name: "backup", args: []string{"FILE"}, flags: []option{{name: "force", toggle: true}}, run: backup, help: backupHelp},
		{name: "restore", args: []string{"FILE"}, run: restore, help: restoreHelp},
		{name: "import", flags: []option{{name: "edgegallery", file: true}, {name: "dry-run", toggle: true}, {name: "discard", toggle: true}}, run: importStore, help: importHelp},
	}
}

// local are the flags that name a server by what it has on this machine.
func local() []option { return []option{{name: "config", file: true}, {name: "data-dir", file: true}} }

// reach are the flags that say how a command reaches a server other than by its socket.
func reach() []option {
	return []option{{name: "url"}, {name: "ca", file: true}, {name: "credential-file", file: true}, {name: "token-file", file: true},
		{name: "cert", file: true}, {name: "key", file: true}}
}

// shows is the flag that says in which form something is printed.
func shows(forms ...string) option { return option{name: "o", values: forms} }
