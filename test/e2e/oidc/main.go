// Command oidc is an OpenID provider that nobody of this project wrote: the example server
// of zitadel/oidc. It serves at the address of its first argument until it is killed. Its one
// client is sid1 with the secret verysecret; POST /rotate gives it a new key. What is changed
// of the example is the form of its access tokens, which are opaque there and JWTs here, and
// that its key can be rotated.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: oidc HOST:PORT")
	}
	issuer := "http://" + os.Args[1]
	s := &store{Storage: storage.NewStorage(storage.NewUserStore(issuer))}
	if err := s.rotate(); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /rotate", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.rotate(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.Handle("/", exampleop.SetupServer(issuer, s, slog.New(slog.NewTextHandler(io.Discard, nil)), false, op.WithAllowInsecure()))
	srv := &http.Server{Addr: os.Args[1], Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(srv.ListenAndServe())
}

// store is the example's, with keys of its own.
type store struct {
	*storage.Storage
	mu   sync.Mutex
	keys []*key // the newest last
}

// rotate makes a new key: from now on it signs. The one before is published still.
func (s *store) rotate() error {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, &key{fmt.Sprint("key-", time.Now().UnixNano()), private})
	s.keys = s.keys[max(0, len(s.keys)-2):]
	return nil
}

// SigningKey implements op.Storage.
func (s *store) SigningKey(context.Context) (op.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return signing{s.keys[len(s.keys)-1]}, nil
}

// KeySet implements op.Storage.
func (s *store) KeySet(context.Context) (all []op.Key, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		all = append(all, published{k})
	}
	return all, nil
}

// ClientCredentials implements op.ClientCredentialsStorage.
func (s *store) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	c, err := s.Storage.ClientCredentials(ctx, id, secret)
	if err != nil {
		return nil, errors.New("no such client")
	}
	return client{c}, nil
}

// client gets JWTs.
type client struct{ op.Client }

// AccessTokenType implements op.Client.
func (client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

type key struct {
	id      string
	private *rsa.PrivateKey
}

type signing struct{ *key }

func (k signing) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k signing) Key() any                                    { return k.private }
func (k signing) ID() string                                  { return k.id }

type published struct{ *key }

func (k published) ID() string                         { return k.id }
func (k published) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k published) Use() string                        { return "sig" }
func (k published) Key() any                           { return &k.private.PublicKey }
