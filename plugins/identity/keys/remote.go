package keys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

const (
	remoteEvery = 5 * time.Minute
	remoteRetry = 10 * time.Second
)

// FromJWKS takes keys from the URL of a JSON Web Key Set. caFile has the certificates that
// sign that of its server; "": those of the system do.
func FromJWKS(jwksURL, caFile string) *Source {
	return remote(func(ctx context.Context, c *http.Client) (*Set, error) { return getSet(ctx, c, jwksURL) }, caFile)
}

// FromDiscovery takes keys from where an OpenID provider says that they are: at its
// jwks_uri. The provider must call itself issuer.
func FromDiscovery(discoveryURL, issuer, caFile string) *Source {
	return remote(func(ctx context.Context, c *http.Client) (*Set, error) {
		at, err := discover(ctx, c, strings.TrimSuffix(discoveryURL, "/")+"/.well-known/openid-configuration", issuer)
		if err != nil {
			return nil, err
		}
		return getSet(ctx, c, at)
	}, caFile)
}

func remote(get func(context.Context, *http.Client) (*Set, error), caFile string) *Source {
	return &Source{every: remoteEvery, retry: remoteRetry, fetch: func(ctx context.Context) (*Set, error) {
		client, err := newClient(caFile)
		if err != nil {
			return nil, err
		}
		defer client.CloseIdleConnections()
		return get(ctx, client)
	}}
}

// newClient makes a client for one fetch, so that a changed caFile counts. It follows no
// redirect: the keys are where the configuration says, or nowhere.
func newClient(caFile string) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := readFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("identity.jwt.caFile: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("identity.jwt.caFile: has no certificate")
		}
	}
	return &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: fetchTime, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       fetchTime,
	}, nil
}

func getSet(ctx context.Context, c *http.Client, at string) (*Set, error) {
	body, err := get(ctx, c, at)
	if err != nil {
		return nil, err
	}
	set, err := parseJWKS(body)
	if err != nil {
		return nil, fmt.Errorf("%s %w", at, err)
	}
	return set, nil
}

// discover reads where the keys of a provider are (OpenID Connect Discovery 1.0 §4). If it
// calls itself something else, its keys are another issuer's (§4.3).
func discover(ctx context.Context, c *http.Client, at, issuer string) (jwksURL string, err error) {
	body, err := get(ctx, c, at)
	if err != nil {
		return "", err
	}
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURL string `json:"jwks_uri"`
	}
	switch err := json.Unmarshal(body, &doc); {
	case err != nil:
		return "", fmt.Errorf("%s is no OpenID provider's configuration", at)
	case doc.Issuer != issuer:
		return "", fmt.Errorf("%s says issuer %.200q, which is not identity.jwt.issuer", at, doc.Issuer)
	}
	from, _ := url.Parse(at)
	to, err := url.Parse(doc.JWKSURL)
	if err != nil || to.Host == "" || to.User != nil || to.Scheme != "https" && (to.Scheme != "http" || to.Scheme != from.Scheme || to.Host != from.Host) {
		return "", fmt.Errorf("%s says jwks_uri %.200q, which is no https URL", at, doc.JWKSURL)
	}
	return to.String(), nil
}

func get(ctx context.Context, c *http.Client, at string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%.200q is no URL", at)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", at, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s could not be read to its end: %w", at, err)
	case len(body) > maxDocument:
		return nil, fmt.Errorf("%s is larger than 1 MiB", at)
	}
	return body, nil
}
