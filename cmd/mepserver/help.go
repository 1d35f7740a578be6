package main

const initHelp = `mepserver init --host NAME [--host NAME]... [--dir DIR] [--listen HOST:PORT]

Makes all that a platform with TLS and identities needs in DIR (without --dir: mep):
a certificate authority of its own, the server's certificate for each NAME (a DNS
name or an IP address by which clients reach it), the keys that sign tokens and
notifications, an administrator's credential and the configuration. Only the owner
can read the files, and nothing is overwritten.

  --host NAME             at which clients reach the server; once for each name
  --dir DIR               where the files go
  --listen HOST:PORT      listen here; without it: on NAME if that is an address of
                          loopback, else on every address
  --data-dir DIR          keep the embedded store here; without it: data in --dir
  --etcd-endpoints URLS   use this etcd cluster; the administrator is then made by
                          mepserver app add --role admin, through the admin socket
  --if-missing            exit with 0 and change nothing if the files are there
  --renew                 make only a new certificate for the server, by the authority
                          in DIR, for the names of the old one or those of --host,
                          including that of server.advertise. A running server
                          takes it by itself
`

// reachHelp is how a command reaches the credentials.
const reachHelp = `
A running server is asked by its admin socket, which the configuration names; if none
runs, the embedded store is opened. Or, from elsewhere:

  --url URL               ask the server there, such as https://mep.example.org:30100
  --ca FILE               whose certificate is signed by one of these (ca.pem of init)
  --credential-file FILE  as this administrator (admin.json of init)
  --token-file FILE       with the token in FILE instead
  --cert FILE --key FILE  with this client certificate

Locally:

  --config FILE           the server's configuration, or
  --data-dir DIR          the folder of its embedded store
`

const secretHelp = `  -o FORM                 text, json, or secret: the secret alone
  --out FILE              write the secret to FILE, which only its owner can read, and
                          not to the terminal; with -o json the whole credential,
                          as --credential-file takes it
`

const addHelp = `mepserver app add ID [flags]

Makes a credential and prints its secret once: the server keeps no more than a hash.
ID is the client_id at /oauth2/token; that of an application is its appInstanceId.

  --role ROLE[,ROLE]      without it: app. The roles are
                            app       acts for the application ID
                            host      an agent for the applications of --apps
                            reader    reads discovery, metrics and ServiceComb's lists
                            registry  a ServiceComb client that registers itself
                            admin     everything
  --apps ID[,ID]          of the role host: appInstanceIds, or beginnings of some with
                          a * behind
  --if-missing            exit with 0 and change nothing if there is one of that ID; with
                          --out, if that file is there
` + secretHelp + reachHelp

const rotateHelp = `mepserver app rotate ID [flags]

Gives a credential a new secret and prints it once. The old secret stays valid for a
while, and tokens are not ended, so that nobody is interrupted.

  --grace DURATION        how long the old secret stays valid, such as 30m; without it
                          24h
  --now                   end the old secret and all tokens of the credential at once
` + secretHelp + `                          A FILE that is there is replaced; one that holds a
                          credential in JSON gets one again
` + reachHelp

const removeHelp = `mepserver app remove ID [flags]

Removes a credential. Its tokens end within two seconds, on every replica. What the
application has registered stays, and is suspended when it is no longer heard.
` + reachHelp

const listHelp = `mepserver app list [flags]

Lists all credentials with their roles. Secrets are not kept, and so not shown.

  -o FORM                 text or json
` + reachHelp

const appHelp = `mepserver app makes and ends credentials, by which applications, agents and
administrators prove who they are:

  mepserver app add ID      make one and print its secret once
  mepserver app rotate ID   give it a new secret
  mepserver app remove ID   end it, with its tokens
  mepserver app list        list all of them

mepserver app add --help says more, and so for each.
`

const checkHelp = `mepserver check [--data-dir DIR | --config FILE]

Examines the embedded store in DIR, of which no server runs, and prints what it
holds. With --config it reads the configuration first, with the certificates and
keys that it names, and prints every fault. Nothing is changed. Exit code 0: all of
it is sound.
`

const backupHelp = `mepserver backup FILE [--force] [--data-dir DIR | --config FILE]

Writes a backup of the embedded store to FILE, which appears when it is complete
and checked. A running server is asked by its admin socket and goes on as before;
of a stopped one the store in DIR is opened. --force replaces FILE, if it is a file
and does not lie in DIR.
`

const restoreHelp = `mepserver restore FILE [--data-dir DIR | --config FILE]

Makes the embedded store in DIR, which must hold nothing, of a backup in FILE.
All that were alive then get a full window in which to send a heartbeat.
`

const importHelp = `mepserver import --edgegallery DIR|URL [--dry-run] [--data-dir DIR | --config FILE]
mepserver import --discard [--data-dir DIR | --config FILE]

Fills a new store of what EdgeGallery's mepserver has kept: services with their ids,
owners and states, subscriptions, the rules that its manager asked for, and the names
at its gateway. Prints what was taken over, and each thing that was not with its
reason. DIR, which holds a directory member, is copied and stays as it is; so does
the etcd at URL. No server may use the store. An import that was cut off is done
again by the next one.

  --dry-run               print the report, and write no store. A copy of DIR is made
                          in TMPDIR, or, if that takes none, where the store is or
                          would be, and removed
  --discard               erase what an import has left that was cut off and cannot
                          be done again, for its source is lost; an embedded store
                          does so by itself when it starts
`

const exampleHelp = `mepserver example

Prints a configuration for --config with every setting, its default and what it
does.
`

const demoHelp = `mepserver demo [flags]

Runs a platform to look at on this machine, with three services, their agents and a
consumer. Every half minute the agent of one service dies without a word and another
one is started: it prints the address to open in a browser, and then what happens.
The agents really stop and start; nothing is played. It needs no file and no setting.

  --listen HOST:PORT      listen here, on loopback; without it: MEP_SERVER_LISTEN, or
                          127.0.0.1:30100, or a free port if that is in use
  --data-dir DIR          keep the data here; without it: in a temporary folder, which
                          is removed at the end
  --for DURATION          end by itself, such as 65s; without it: at Ctrl-C
`

// runningHelp is how a command reaches a running server.
const runningHelp = `
The server on this machine is asked by its admin socket:

  --config FILE           of this configuration, or
  --data-dir DIR          with its embedded store here; without both: in ./data, or else
                          on 127.0.0.1:30100 if no server is there

Or, from elsewhere:

  --url URL               ask the server there, such as https://mep.example.org:30100
  --ca FILE               whose certificate is signed by one of these (ca.pem of init)
  --credential-file FILE  as this credential (admin.json of init)
  --token-file FILE       with the token in FILE instead
  --cert FILE --key FILE  with this client certificate

Without any of these the variables count that mep-agent takes: MEP_PLATFORM_ENDPOINTS
(the first), MEP_PLATFORM_CA_FILE, _CERT_FILE and _KEY_FILE, MEP_IDENTITY_TOKEN_FILE,
MEP_IDENTITY_CLIENT_ID with _CLIENT_SECRET or _CLIENT_SECRET_FILE, and _TOKEN_URL.

Exit code 0: done. 1: it failed, was refused, or was called wrongly. 3: no server
answers. 4: there is no such service.
`

const servicesHelp = `mepserver services [ID|NAME] [flags]

Shows the services of a running server: state, since when and why, the last heartbeat,
and when the next one must come. Who is SUSPENDED comes first, then who is late, then
who dies next. With an ID (serInstanceId), or a NAME (serName) that only one has, it
shows all of one service, with its last transitions and its subscribers. The role
reader suffices.

  --state STATE[,STATE]   only ACTIVE, SUSPENDED or INACTIVE ones
  --app ID                only those of the application of this appInstanceId
  --name TEXT             only those whose name has TEXT in it
  --late                  only those whose heartbeat is overdue
  --drained               only those that are drained
  -o FORM                 text, wide (with id, version, window, notifications), or json
` + runningHelp

const watchHelp = `mepserver watch [flags]

Prints one line for each change of a service as it happens: time, revision, what
changed, from which state to which, application, service, id and why. It begins with
how many services there are, and ends at Ctrl-C with exit code 0. When the connection is
lost, it says so, asks again until a server answers, also after a restart, and goes on
without a gap, or says that it does not know what changed meanwhile.

  --since REVISION        go on behind this revision
  -o FORM                 text, or json: one object a line, with event and data
` + runningHelp

const doctorHelp = `mepserver doctor [flags]

Looks for what operators get wrong, and says what to do: certificate, clock, identities,
disk, the members of an etcd cluster, room in the store, replicas, whether anybody is
suspended now, subscriptions that cannot be told, agents that beat late, and services
that send no heartbeats. Of a server on this machine it looks at the files, too.

  -o FORM                 text or json
` + runningHelp + `Exit code 2: there is a problem. A warning is none, and a server that is not reached is.
`

const drainHelp = `mepserver drain ID|NAME --reason TEXT [flags]

Takes the service with this serInstanceId, or with a serName that only one has, out of
use: it is INACTIVE, whatever its application says, and consumers are told. Everybody who
asks is told the reason. The role admin is needed.

  --reason TEXT           why, in 1 to 256 characters
  -o FORM                 text, or json: the state of the service
` + runningHelp

const undrainHelp = `mepserver undrain ID|NAME [flags]

Gives a drained service back: it is alive again with its next heartbeat, or at once if
it sends none, or INACTIVE if its application had said so.

  -o FORM                 text, or json: the state of the service
` + runningHelp

const helpHelp = `mepserver help [COMMAND] [WORD]

Prints what mepserver can do, or all of one command, such as mepserver help app add.
`

const versionHelp = `mepserver version

Prints the version and the revision that the program was built of.
`

const completionHelp = `mepserver completion SHELL

Prints the completion of commands and flags for SHELL: bash, zsh or fish.

  bash: source <(mepserver completion bash)
  zsh:  source <(mepserver completion zsh)
  fish: mepserver completion fish | source
`
