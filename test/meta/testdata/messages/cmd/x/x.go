package main

import _ "example.org/m/build/tools"

// What a comment says of docs/operations.md is for who has the checkout.
const (
	help = `conf/mepserver.yaml shows all of them`
	todo = "restore a backup (docs/operations.md)"
	good = "read conf/app_instance_info.yaml"
)
