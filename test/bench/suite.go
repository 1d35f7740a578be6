package main

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/remote"
	"github.com/mec-liveness/mepserver/test/bench/report"
	"github.com/mec-liveness/mepserver/test/bench/suite"
)

// document is what -write writes, from the root of the repository.
const document = "docs/performance.md"

// runSuite measures everything that has a target.
func runSuite(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("suite", flag.ContinueOnError)
	c := suite.Config{Out: os.Stdout, Self: os.Args[0], Certificate: certificate, Command: strings.Join(append([]string{"go run ./test/bench suite"}, args...), " ")}
	fs.BoolVar(&c.Quick, "quick", false, "sizes so small that the figures say nothing: whether all of it works")
	fs.Float64Var(&c.Scale, "scale", 1, "numbers of services, of those that the targets are for")
	fs.BoolVar(&c.Million, "million", false, "also a million services")
	fs.StringVar(&c.Profile, "profile", "", "a folder for processor profiles of the server")
	fs.Uint64Var(&c.Seed, "seed", 0, "of what is random; 0: a new one")
	fs.DurationVar(&c.Most, "most", 25*time.Minute, "of the whole run: what comes later is not measured; more for -million")
	write := fs.Bool("write", false, "write the table and the plots into "+document)
	fs.StringVar(&c.Files, "files", "", "a folder for the plots and the histograms; with -write: beside the document")
	var at remote.Place
	fs.StringVar(&at.URL, "base", "", "the root of a server of Mp1 to measure, in place of our own")
	fs.StringVar(&c.App, "app", "", "with -base: the application that registers services there; empty: bench")
	fs.StringVar(&at.CAFile, "ca", "", "with -base: certificates that sign the server's")
	fs.StringVar(&at.CredentialFile, "credential-file", "", "with -base: a credential, as mepserver app add -o json prints it")
	fs.StringVar(&at.TokenFile, "token-file", "", "with -base: a bearer token")
	fs.StringVar(&at.CertFile, "cert", "", "with -base: a client certificate")
	fs.StringVar(&at.KeyFile, "key", "", "with -base: its key")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	c.Only = fs.Args()
	if c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	if at.URL != "" {
		s, err := remote.At(at)
		if err != nil {
			return err
		}
		c.Base, c.Transport = strings.TrimSuffix(at.URL, "/"), s.Transport
		if t, ok := s.Transport.(*http.Transport); ok {
			t.MaxIdleConnsPerHost = 1000 // as many as are opened
		}
		if c.App == "" {
			c.App = "bench"
		}
	}
	root := ""
	if *write {
		var err error
		if root, err = repository(); err != nil {
			return err
		}
		c.Files = filepath.Join(root, "docs", "performance")
	}
	text, failed := suite.Run(ctx, c)
	if *write && text != "" {
		failed = errors.Join(failed, writeInto(filepath.Join(root, document), text))
	}
	return failed
}

// writeInto writes between the markers of a document.
func writeInto(path, text string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	out, err := report.Replace(string(b), text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(out), 0o644) //nolint:gosec // a document
}

// repository is the folder with docs, here or above.
func repository() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "docs")); missing == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("no folder docs here or above")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// certificate makes one for loopback.
func certificate(dir string) (certFile, keyFile string, pool *x509.CertPool, err error) {
	ids, err := makeIdentities(dir, 1)
	if err != nil {
		return "", "", nil, err
	}
	return ids.certFile, ids.keyFile, ids.pool, nil
}
