package agent

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// AccessKey asks for tokens as EdgeGallery's agent does at its gateway.
type AccessKey struct {
	Endpoints      []string // of the gateway, tried in order
	Access, Secret func() (string, error)
	// Transport carries the requests. nil: http.DefaultTransport.
	Transport http.RoundTripper
}

const tokenPath = "/mep/token"

// EdgeGallery makes a source that refreshes each token at 70 to 85 % of its life.
// Three requests with a wrong key within five minutes lock the key for fifteen.
func EdgeGallery(k AccessKey) TokenSource {
	return newTokenCache(func(ctx context.Context) (token string, life time.Duration, err error) {
		access, err := k.Access()
		if err != nil {
			return "", 0, fmt.Errorf("access key: %w", err)
		}
		secret, err := k.Secret()
		if err != nil {
			return "", 0, fmt.Errorf("secret key: %w", err)
		}
		err = errors.New("token server: no endpoint")
		for _, endpoint := range k.Endpoints {
			var answered bool
			if token, life, answered, err = k.fetch(ctx, endpoint, access, secret); err == nil || answered {
				break
			}
		}
		return token, life, err
	})
}

// fetch sends one request; answered: no other endpoint would say anything else.
func (k AccessKey) fetch(ctx context.Context, endpoint, access, secret string) (token string, life time.Duration, answered bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(endpoint, "/")+tokenPath, nil)
	if err != nil {
		return "", 0, false, errors.New("token server: the endpoint is no URL")
	}
	sign(r, access, secret, time.Now())
	resp, err := tokenClient(k.Transport).Do(r)
	if err != nil {
		return "", 0, false, fmt.Errorf("token server: %w", withoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenBytes))
	if resp.StatusCode != http.StatusOK {
		return "", 0, resp.StatusCode < http.StatusInternalServerError, fmt.Errorf("token server: %d", resp.StatusCode)
	}
	var said struct {
		Token string `json:"access_token"`
		Life  int    `json:"expires_in"` // seconds
	}
	if err != nil || json.Unmarshal(data, &said) != nil || said.Token == "" || strings.ContainsFunc(said.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", 0, true, errors.New("token server: its answer holds no token")
	}
	return said.Token, time.Duration(max(said.Life, 0)) * time.Second, true, nil
}

const (
	signedHeaders      = "content-type;host;x-sdk-date"
	signatureAlgorithm = "SDK-HMAC-SHA256"
)

// sign signs a request without a body the way that mepauth checks it.
func sign(r *http.Request, access, secret string, at time.Time) {
	date := at.UTC().Format("20060102T150405Z")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Sdk-Date", date)
	empty := sha256.Sum256(nil)
	canonical := strings.Join([]string{r.Method, strings.TrimSuffix(r.URL.EscapedPath(), "/") + "/", "",
		"content-type:application/json", "host:" + r.URL.Host, "x-sdk-date:" + date, "",
		signedHeaders, hex.EncodeToString(empty[:])}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(signatureAlgorithm + "\n" + date + "\n" + hex.EncodeToString(sum[:]))) // never fails
	r.Header.Set("Authorization", fmt.Sprintf("%s Access=%s, SignedHeaders=%s, Signature=%s",
		signatureAlgorithm, access, signedHeaders, hex.EncodeToString(mac.Sum(nil))))
}
