package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/agent"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

const (
	keysTimeout = 5 * time.Second
	maxKeysFile = 64 << 10 // bytes
)

// listenOptions are the arguments of listen; "": not given.
type listenOptions struct {
	webSocket bool   // receive by a WebSocket
	uri       string // of the WebSocket
	address   string // HOST:PORT
	verify    string // a platform's URL, a file, or keys: by which notifications must be signed
	ca        string // a file: whom to trust at the URL
	cert, key string // files: serve HTTPS
	clientCA  string // a file: whose client certificates are wanted
}

// parseRest reads what is no flag. config is the file of --config.
func (o *listenOptions) parseRest(rest []string, config string) error {
	switch {
	case o.webSocket && len(rest) > 1:
		return errors.New("listen --websocket takes one URI at most")
	case o.webSocket && len(rest) == 1:
		o.uri = rest[0]
	case o.webSocket:
	case len(rest) != 1:
		return errors.New("listen takes one address, such as 127.0.0.1:8088")
	case config != "":
		return errors.New("--config is for listen --websocket")
	default:
		o.address = rest[0]
		return o.fault()
	}
	switch {
	case o.verify != "", o.cert != "", o.key != "", o.clientCA != "":
		return errors.New("--verify, --cert, --key and --client-ca are for callbacks, not for --websocket")
	case o.uri != "" && !strings.HasPrefix(o.uri, "ws://") && !strings.HasPrefix(o.uri, "wss://"):
		return errors.New("--websocket takes the websocketUri of a subscription, ws:// or wss://")
	case o.ca != "" && (config != "" || !strings.HasPrefix(o.uri, "wss://")):
		return errors.New("--ca is for a wss URI without --config, which has platform.caFile")
	}
	return nil
}

// fault says which flags do not go together.
func (o listenOptions) fault() error {
	switch {
	case (o.cert == "") != (o.key == ""):
		return errors.New("--cert and --key go together")
	case o.clientCA != "" && o.cert == "":
		return errors.New("--client-ca needs --cert and --key")
	case o.ca != "" && !strings.HasPrefix(o.verify, "https://"):
		return errors.New("--ca is for an https URL in --verify")
	}
	return nil
}

// keySource is where the keys of --verify come from, and the line that says so.
func keySource(o listenOptions) (keys client.KeySource, says string, err error) {
	switch {
	case strings.HasPrefix(o.verify, "whpk_"):
		if keys, err = client.FixedKeys(strings.Split(o.verify, ",")...); err != nil {
			err = fmt.Errorf("--verify: %w", err)
		}
		return keys, "refusing what is not signed by the given keys\n", err
	case strings.HasPrefix(o.verify, "https://"), strings.HasPrefix(o.verify, "http://"):
		return platformKeys(o)
	}
	keys = func(context.Context) ([]string, error) { return readKeys(o.verify) }
	now, err := keys(context.Background())
	if err == nil {
		_, err = client.FixedKeys(now...)
	}
	if err != nil {
		return nil, "", fmt.Errorf("--verify %s: %w", logs.Clean(o.verify), withoutPath(err))
	}
	return keys, "refusing what is not signed by the keys in " + logs.Clean(o.verify) + "\n", nil
}

// platformKeys are those that a platform publishes. Its URL may be that of the keys themselves.
func platformKeys(o listenOptions) (client.KeySource, string, error) {
	transport, err := agent.NewTransport(agent.TLS{CAFile: o.ca})
	if err != nil {
		return nil, "", fmt.Errorf("--ca: %w", err)
	}
	base := strings.TrimSuffix(strings.TrimSuffix(o.verify, "/"), mp1.WebhookKeysPath)
	c, err := client.New(client.Options{BaseURL: base, HTTPClient: &http.Client{Transport: transport, Timeout: keysTimeout}})
	if err != nil {
		return nil, "", fmt.Errorf("--verify: %w", err)
	}
	says := "refusing what is not signed by the keys of " + logs.Clean(base)
	if !safeWay(base) {
		says += ", which come without TLS: whoever is on the way can exchange them"
	}
	return c.WebhookKeys, says + "\n", nil
}

// safeWay says whether nobody can change what comes from a URL.
func safeWay(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || err == nil && address.IsLoopback()
}

// readKeys reads a file of keys: one on each line, as the platform publishes them, or PEM.
func readKeys(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxKeysFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxKeysFile:
		return nil, fmt.Errorf("it is larger than %d bytes", maxKeysFile)
	}
	var published mp1.WebhookKeys
	switch {
	case json.Unmarshal(text, &published) == nil:
		return published.Keys, nil
	case bytes.Contains(text, []byte("-----BEGIN ")):
		return pemKeys(text)
	}
	return strings.Fields(string(text)), nil
}

// pemKeys are the public keys of a PEM text, as openssl pkey -pubout writes them.
func pemKeys(text []byte) (keys []string, err error) {
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		if b.Type != "PUBLIC KEY" {
			return nil, errors.New("it must hold public keys, as openssl pkey -pubout writes them, and nothing else")
		}
		key, err := x509.ParsePKIXPublicKey(b.Bytes)
		public, ok := key.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, errors.New("it holds a key that is not Ed25519")
		}
		keys = append(keys, "whpk_"+base64.StdEncoding.EncodeToString(public))
	}
	return keys, nil
}

// tls is the configuration of HTTPS; nil: HTTP. The files are read again at each handshake.
func (o listenOptions) tls() (*tls.Config, error) {
	if o.cert == "" {
		return nil, nil //nolint:nilnil // as the comment says
	}
	if err := checkPair(o.cert, o.key); err != nil {
		return nil, fmt.Errorf("--cert and --key: %w", err)
	}
	load := func() (*tls.Config, error) {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
		if err != nil || o.clientCA == "" {
			return c, err
		}
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		text, err := os.ReadFile(o.clientCA)
		if err == nil && !c.ClientCAs.AppendCertsFromPEM(text) {
			err = errors.New("the file holds no PEM certificate")
		}
		return c, err
	}
	c, err := load()
	if err != nil {
		return nil, fmt.Errorf("--client-ca: %w", err)
	}
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return load() }
	return c, nil
}

// refuse answers what is not verified, and prints why it is refused.
func (p *printer) refuse(w http.ResponseWriter, r *http.Request, why error) {
	status, reason := http.StatusServiceUnavailable, "the keys could not be read: "+why.Error()
	if errors.Is(why, client.ErrUnverified) {
		status, reason = http.StatusForbidden, strings.TrimPrefix(why.Error(), client.ErrUnverified.Error()+": ")
	}
	http.Error(w, "the notification is refused", status)
	p.refused(reason + " webhook-id=" + word(r.Header.Get("Webhook-Id")))
}

func (p *printer) refused(reason string) {
	_ = p.write(fmt.Sprintf("%s REFUSED %s\n", p.now().Format("15:04:05.000"), logs.Clean(reason)))
}

// refusals prints what the HTTP server says of connections, such as of a failed handshake.
type refusals struct{ to *printer }

// Write implements io.Writer.
func (f refusals) Write(line []byte) (int, error) {
	f.to.refused(strings.TrimSpace(string(line)))
	return len(line), nil
}
