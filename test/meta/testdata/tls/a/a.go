package a

import "crypto/tls"

var c = tls.Config{InsecureSkipVerify: true}
