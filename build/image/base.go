package main

import (
	"bytes"
	"encoding/pem"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	authorities = "/etc/ssl/certs/ca-certificates.crt"
	nobody      = 65532 // distroless calls it nonroot
)

// baseConfig is what the base image says of programs on it.
func baseConfig() v1.Config {
	return v1.Config{
		Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SSL_CERT_FILE=" + authorities},
		User:       fmt.Sprint(nobody),
		WorkingDir: "/home/nonroot",
	}
}

// baseFiles are what a static program finds in the base image: names of users, the system's
// root certificates (Mozilla's, of a release that go.sum pins), and folders. No program, no shell.
func baseFiles() []entry {
	return []entry{
		folder("/etc", 0o755, 0), folder("/etc/ssl", 0o755, 0), folder("/etc/ssl/certs", 0o755, 0),
		{name: authorities, mode: 0o644, content: roots()},
		text("/etc/group", "root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n"),
		text("/etc/nsswitch.conf", "hosts: files dns\n"),
		text("/etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"+
			"nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"),
		folder("/home", 0o755, 0), folder("/home/nonroot", 0o700, nobody), folder("/root", 0o700, 0),
		folder("/tmp", 0o1777, 0), folder("/usr", 0o755, 0), folder("/usr/local", 0o755, 0), folder("/usr/local/bin", 0o755, 0), folder("/var", 0o755, 0), folder("/var/lib", 0o755, 0),
	}
}

// roots are the certificates without restrictions; a PEM file cannot say of one that it may
// no longer vouch for certificates after a date, so such a one is left out.
func roots() []byte {
	var b bytes.Buffer
	for r := range bundle.Roots() {
		if r.Constraint == nil {
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate})
		}
	}
	return b.Bytes()
}

func text(name, content string) entry {
	return entry{name: name, mode: 0o644, content: []byte(content)}
}

func folder(name string, mode int64, owner int) entry {
	return entry{name: name, mode: mode, folder: true, uid: owner, gid: owner}
}
