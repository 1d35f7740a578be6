package mepauth

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Issuer is who tokens say to come from: also the key under which the gateway finds the public
// key.
const Issuer = "mepauth"

func (s *Server) makeKey(t testing.TB) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	s.key, s.KeyFile = key, filepath.Join(t.TempDir(), "jwt_publickey")
	if err := os.WriteFile(s.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Token is a token of an application whose request came from an address, which holds for an hour.
// The members of change replace those of its claims; nil leaves one out.
func (s *Server) Token(app, clientIP string, change ...map[string]any) string {
	claims := map[string]any{"iss": Issuer, "sub": app, "clientip": clientIP, "exp": time.Now().Add(time.Hour).Unix()}
	for _, c := range change {
		maps.Copy(claims, c)
	}
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	text := encode(map[string]any{"alg": "RS512", "typ": "JWT"}) + "." + encode(claims)
	sum := sha512.Sum512([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA512, sum[:])
	if err != nil { // with a key of 2,048 bits: cannot happen
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Claims are those of a token of this mepauth that holds now; nil: it is none.
func (s *Server) Claims(token string) map[string]any {
	text, signature, _ := cutLast(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	sum := sha512.Sum512([]byte(text))
	if err != nil || rsa.VerifyPKCS1v15(&s.key.PublicKey, crypto.SHA512, sum[:], raw) != nil {
		return nil
	}
	_, body, _ := strings.Cut(text, ".")
	b, err := base64.RawURLEncoding.DecodeString(body)
	var claims map[string]any
	if err != nil || json.Unmarshal(b, &claims) != nil {
		return nil
	}
	if end, ok := claims["exp"].(float64); !ok || time.Now().Unix() >= int64(end) {
		return nil
	}
	return claims
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // plain data: cannot happen
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

var signature = regexp.MustCompile(`^SDK-HMAC-SHA256 Access=([\w+/=]{20}), SignedHeaders=([^,]{28}), Signature=([0-9a-f]{64})$`)

// signed checks the signature of a request for a token.
func signed(r *http.Request, access, secret string) bool {
	m := signature.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil || m[1] != access {
		return false
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
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
