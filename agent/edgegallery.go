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

// AccessKey is an access key of EdgeGallery's platform, and where tokens are had for it.
type AccessKey struct {
	// Endpoints are the URLs of the platform's API gateway, such as
	// https://10.0.0.1:8443. The next one is asked if one does not answer.
	Endpoints []string
	// Access and Secret return the two halves of the key (AK and SK). They are called before
	// each request for a token.
	Access, Secret func() (string, error)
	// Transport carries the requests. If it is nil, http.DefaultTransport does.
	Transport http.RoundTripper
}

const tokenPath = "/mep/token"

// EdgeGallery makes a source that asks for tokens as EdgeGallery's agent does, with a request
// signed by an access key, and replaces each at 70 to 85 % of its life. A gateway that
// fails is asked again after waits from 0.5 s to 30 s. Beware: three requests with a wrong
// key within five minutes lock the key for fifteen. No error shows the secret.
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

// fetch sends one request. answered is true if no other endpoint would answer otherwise.
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
	var answer struct {
		Token string `json:"access_token"`
		Life  int    `json:"expires_in"` // seconds
	}
	if err != nil || json.Unmarshal(data, &answer) != nil || answer.Token == "" || strings.ContainsFunc(answer.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", 0, true, errors.New("token server: its answer holds no token")
	}
	return answer.Token, secondsOf(answer.Life), true, nil
}

const (
	signedHeaders      = "content-type;host;x-sdk-date"
	signatureAlgorithm = "SDK-HMAC-SHA256"
)

// sign signs a request without a body as EdgeGallery's mepauth checks it.
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
