package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/identity/keys"
)

// knowsMepauth has the platform know the key of mepauth.
func (g *siteGate) knowsMepauth() {
	var err error
	g.mepauth, err = rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(g.t, err)
	g.tokens.mepauth = mepauthVerifier(&heldKeys{keys.NewSet([]*keys.Key{{Public: g.mepauth.Public()}})})
}

// mepauthToken makes a token of mepauth; nil leaves a claim out.
func (g *siteGate) mepauthToken(key crypto.Signer, change map[string]any) string {
	claims := map[string]any{"iss": "mepauth", "sub": "app", "exp": g.now.Unix() + 3600, "clientip": otherPod}
	for k, v := range change {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	body, err := json.Marshal(claims)
	require.NoError(g.t, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS512, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	require.NoError(g.t, err)
	signed, err := signer.Sign(body)
	require.NoError(g.t, err)
	raw, err := signed.CompactSerialize()
	require.NoError(g.t, err)
	return raw
}

func TestATokenOfMepauthCountsWithoutTheGateway(t *testing.T) {
	g := newSiteGate(t)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	without := g.mepauthToken(stranger, nil)
	g.refuses("anonymous", by(pod, otherPod), bearing(without), at("/metrics"))
	require.Nil(t, g.takes(by(pod, otherPod), bearing(without), at("/mep/mec_service_mgmt/v1/services")), "whose key is not known proves nothing")
	g.refuses("issuer", by(pod, pod), bearing(without), at("/mep/mec_service_mgmt/v1/services"))
	g.refuses("anonymous", by(pod, otherPod), bearing(g.mepauthToken(stranger, map[string]any{"iss": "x"})))
	g.knowsMepauth()
	good := g.mepauthToken(g.mepauth, nil)
	require.Equal(t, &plugins.Caller{Name: "app", App: "app", Roles: []string{"app"}, Source: "token"}, g.takes(by(pod, otherPod), bearing(good)))
	require.Equal(t, "app", g.takes(by(multus, "::ffff:"+otherPod), bearing(good)).App)
	roles := g.mepauthToken(g.mepauth, map[string]any{"roles": "admin", "apps": []string{"b"}})
	require.Equal(t, []string{"app"}, g.takes(by(pod, otherPod), bearing(roles)).Roles, "mepauth gives no roles")
	for fault, change := range map[string]map[string]any{
		"claims":          {"exp": nil},
		"expired":         {"exp": g.now.Unix()},
		"audience":        {"aud": "mep"},
		"address_binding": {"clientip": inMultus},
	} {
		g.refuses(fault, by(pod, otherPod), bearing(g.mepauthToken(g.mepauth, change)))
	}
	for _, bound := range []any{nil, "", "UNKNOWN_IP", 1, "10.244.0.9 ", otherPod + "/32", "::"} {
		g.refuses("address_binding", by(pod, otherPod), bearing(g.mepauthToken(g.mepauth, map[string]any{"clientip": bound})))
	}
	g.refuses("claims", by(pod, otherPod), bearing(g.mepauthToken(g.mepauth, map[string]any{"sub": "../x"})))
	g.refuses("address_binding", by(pod, inMultus), bearing(good))
	g.refuses("unknown_key", by(pod, otherPod), bearing(without))
	g.refuses("algorithm", by(pod, otherPod), bearing(strings.Replace(good, strings.Split(good, ".")[0], jwtPart(map[string]any{"alg": "none"}), 1)))
}

func TestATokenThatTheGatewayPassesOnMustBeOfWhomItNames(t *testing.T) {
	g := newSiteGate(t)
	g.knowsMepauth()
	good := g.mepauthToken(g.mepauth, nil)
	who := g.takes(passedOn("app"), bearing(good))
	require.Equal(t, "gateway", who.Source)
	g.refuses("proxy_header", passedOn("other"), bearing(good))
	g.refuses("malformed", passedOn("app"), bearing("opaque"))
	g.refuses("unknown_key", passedOn("app"), bearing(strings.Join([]string{strings.Split(good, ".")[0], strings.Split(good, ".")[1], "AAAA"}, ".")))
	before := g.reads
	g.takes(passedOn("app"), bearing(good))
	require.Equal(t, before, g.reads, "it is verified once")
}
