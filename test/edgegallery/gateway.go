package edgegallery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

const (
	badKeyWindow = 5 * time.Minute
	badKeyLock   = 15 * time.Minute
	maxBadKeys   = 3
)

// behindGateway lets a request pass whose token holds and is of the application in the
// path. The gateway answers the others in its own form.
func (p *Platform) behindGateway(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.options.AccessKey == "" {
			next(w, r)
			return
		}
		p.mu.Lock()
		end := p.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		p.mu.Unlock()
		app := r.PathValue("app")
		switch {
		case !time.Now().Before(end):
			writeJSON(w, http.StatusUnauthorized, map[string]string{"message": "Unauthorized"})
		case app != "" && app != p.options.App:
			refuse(w, unauthorized, "UnAuthorization to access the resource")
		default:
			next(w, r)
		}
	}
}

// token answers a request for a token. Three with a wrong signature within five minutes
// lock the key for fifteen.
func (p *Platform) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	n := len(p.badKeys)
	if n >= maxBadKeys && now.Sub(p.badKeys[n-1]) < badKeyLock && p.badKeys[n-1].Sub(p.badKeys[n-maxBadKeys]) < badKeyWindow {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if !signed(r, p.options.AccessKey, p.options.SecretKey) {
		p.badKeys = append(p.badKeys, now)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	token := fmt.Sprint("token-", len(p.tokens)+1)
	p.tokens[token] = now.Add(p.options.TokenLife)
	writeJSON(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(p.options.TokenLife / time.Second)})
}

// RevokeTokens makes each token that was given worthless.
func (p *Platform) RevokeTokens() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for token := range p.tokens {
		p.tokens[token] = time.Time{}
	}
}

var signature = regexp.MustCompile(`^SDK-HMAC-SHA256 Access=([\w+/=]{20}), SignedHeaders=([^,]{28}), Signature=([0-9a-f]{64})$`)

// signed checks the signature of a request for a token as mepauth does.
func signed(r *http.Request, access, secret string) bool {
	m := signature.FindStringSubmatch(r.Header.Get("Authorization"))
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if m == nil || err != nil || m[1] != access {
		return false
	}
	hash := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	var c strings.Builder
	c.WriteString("POST\n/mep/token/\n\n")
	for name := range strings.SplitSeq(m[2], ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		c.WriteString(name + ":" + value + "\n")
	}
	c.WriteString("\n" + m[2] + "\n" + hash(string(body)))
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte("SDK-HMAC-SHA256\n" + r.Header.Get("X-Sdk-Date") + "\n" + hash(c.String()))) // never fails
	return hmac.Equal([]byte(m[3]), []byte(hex.EncodeToString(mac.Sum(nil))))
}
