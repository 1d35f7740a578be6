package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// identities are a certificate for servers on loopback, which is its own authority, and a
// key that signs tokens, as files of a folder.
type identities struct {
	certFile, keyFile string // of the servers
	tokenKeyFile      string // public, of what signs tokens
	pool              *x509.CertPool
	signer            *ecdsa.PrivateKey
	conns             int // that a client keeps
}

const (
	tokenIssuer   = "https://bench.example"
	tokenAudience = "mep"
)

// makeIdentities writes the files, which hold for a day.
func makeIdentities(dir string, conns int) (*identities, error) {
	ids := &identities{conns: conns, certFile: filepath.Join(dir, "server.pem"), keyFile: filepath.Join(dir, "server.key"), tokenKeyFile: filepath.Join(dir, "tokens.pem"), pool: x509.NewCertPool()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if ids.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	ids.pool.AddCert(cert)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&ids.signer.PublicKey)
	if err != nil {
		return nil, err
	}
	for path, b := range map[string]*pem.Block{
		ids.certFile:     {Type: "CERTIFICATE", Bytes: der},
		ids.keyFile:      {Type: "PRIVATE KEY", Bytes: pkcs8},
		ids.tokenKeyFile: {Type: "PUBLIC KEY", Bytes: public},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// tls and jwt are the settings of a server that uses them.
func (ids *identities) tls() []string {
	return []string{"MEP_SERVER_TLS_CERT_FILE=" + ids.certFile, "MEP_SERVER_TLS_KEY_FILE=" + ids.keyFile}
}

func (ids *identities) jwt() []string {
	return append(ids.tls(), "MEP_IDENTITY_JWT_KEY_FILE="+ids.tokenKeyFile, "MEP_IDENTITY_JWT_ISSUER="+tokenIssuer, "MEP_IDENTITY_JWT_AUDIENCE="+tokenAudience)
}

// token is a JWT (RFC 7519, ES256) that says that an application calls.
func (ids *identities) token(app string) (string, error) {
	now := time.Now()
	part := func(v any) string {
		b, _ := json.Marshal(v) // of maps of strings and numbers
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := part(map[string]any{"alg": "ES256", "typ": "JWT"}) + "." + part(map[string]any{
		"iss": tokenIssuer, "aud": tokenAudience, "sub": app, "roles": []string{"app"}, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, ids.signer, sum[:])
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)), nil
}

// client is one that trusts the servers. It speaks HTTP/1.1 to all of them.
func (ids *identities) client() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: ids.conns, TLSClientConfig: &tls.Config{RootCAs: ids.pool}}}
}
