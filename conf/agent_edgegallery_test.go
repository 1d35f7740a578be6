package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEdgeGallerysEnvironmentIsRead(t *testing.T) {
	t.Chdir(t.TempDir())
	env := []string{"APPINSTID=app-1", "MEP_IP=10.1.2.3", "MEP_APIGW_PORT=8443", "CA_CERT_DOMAIN_NAME=mep.example", "AK=ak", "SK=" + secret, "CA_CERT=/nowhere"}
	require.NoError(t, os.Mkdir("conf", 0o700))
	require.NoError(t, os.WriteFile(filepath.FromSlash(instanceInfo[0]), []byte("serviceInfoPosts:\n- {serName: s, version: 1.0, _links: {self: {}}}\nserAvailabilityNotificationSubscriptions: [{x: 1}]\n"), 0o600))
	c, err := loadAgent(Sources{Environ: env}, acceptAll)
	require.NoError(t, err)
	assert.Equal(t, "app-1", c.Application.ID)
	assert.Equal(t, []string{
		`CA_CERT: platform.caFile: names a file that cannot be read ("/nowhere"); the platform's certificate is verified against the system's roots`,
		"conf/app_instance_info.yaml:3: serAvailabilityNotificationSubscriptions: is not used, as by EdgeGallery's agent: an application subscribes itself",
	}, strings.Split(c.Warnings.Error(), "\n"))
	assert.Equal(t, Platform{Endpoints: []string{"https://10.1.2.3:8443"}, Prefix: "/mep", Timeout: 5 * time.Second, ServerName: "mep.example"}, c.Platform)
	assert.Equal(t, Identity{Kind: AccessKey, AccessKey: "ak", SecretKey: secret}, c.Identity)
	assert.Equal(t, Local{"127.0.0.1:8080", true}, c.Local)
	assert.JSONEq(t, `{"serName":"s","version":"1.0","state":"ACTIVE","serializer":"JSON","consumedLocalOnly":false,"transportInfo":{"id":"","name":"REST",
		"type":"REST_HTTP","protocol":"HTTP","version":"2.0","endpoint":{"alternative":{}},"security":{}}}`, string(c.Services[0].Info))

	c, err = loadAgent(Sources{Environ: append(env, "EG_PROTOCOL=HTTP", "MEP_LOCAL_LISTEN=127.0.0.1:9", "MEP_IDENTITY_KIND=none")}, acceptAll)
	require.NoError(t, err)
	assert.Equal(t, []string{"http://10.1.2.3:8000"}, c.Platform.Endpoints, "its gateway's plain port, whatever is said")
	assert.Equal(t, "127.0.0.1:9", c.Local.Listen, "our own variables win")
	assert.Equal(t, Anonymous, c.Identity.Kind)

	c, err = loadAgent(Sources{File: filepath.FromSlash(instanceInfo[0]), Environ: []string{"MEP_IP=10.1.2.3", "AK=x", "MEP_APPLICATION_ID=b"}}, acceptAll)
	require.NoError(t, err)
	assert.Equal(t, DefaultAgent().Platform, c.Platform, "without APPINSTID it is not EdgeGallery's environment")
}

// A variable wins over the file, whoever it was made for; only what nobody has said is
// decided by there being such an environment.
func TestEdgeGallerysVariablesWinOverTheFile(t *testing.T) {
	t.Chdir(t.TempDir())
	const file = "appInstanceId: of-the-file\nidentity: {kind: none}\nplatform: {endpoints: ['http://file'], prefix: ''}\nlocal: {listen: '127.0.0.1:7'}\n"
	env := []string{"APPINSTID=of-the-environment", "MEP_IP=mep-api-gw.mep", "EG_PROTOCOL=http", "AK=ak", "SK=sk"}
	c, err := LoadAgent(Sources{File: "f.yaml", Data: []byte(file), Environ: env})
	require.NoError(t, err)
	assert.Equal(t, "of-the-environment", c.Application.ID)
	assert.Equal(t, []string{"http://mep-api-gw.mep:8000"}, c.Platform.Endpoints)
	assert.Equal(t, "/mep", c.Platform.Prefix)
	assert.Equal(t, AccessKey, c.Identity.Kind)
	assert.Equal(t, Local{"127.0.0.1:7", true}, c.Local, "the file says where, the environment only that")
	assert.NotContains(t, c.Warnings.Error(), "is not read")
	require.NoError(t, os.Mkdir("conf", 0o700))
	require.NoError(t, os.WriteFile(instanceInfo[0], []byte("serviceInfoPosts: []"), 0o600))
	c, err = LoadAgent(Sources{File: "f.yaml", Data: []byte(file), Environ: env})
	require.NoError(t, err)
	assert.Contains(t, c.Warnings.Error(), "conf/app_instance_info.yaml: is not read: the configuration is another file")
	c, err = LoadAgent(Sources{File: "f.yaml", Data: []byte(file), Environ: append(env, "MEP_APPLICATION_ID=of-ours", "MEP_PLATFORM_ENDPOINTS=http://ours")})
	require.NoError(t, err)
	assert.Equal(t, "of-ours", c.Application.ID)
	assert.Equal(t, []string{"http://ours"}, c.Platform.Endpoints)
}

// An application may only consume: then the agent is there for its token and for discovery.
func TestAnApplicationMayHaveNoServices(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, src := range map[string]Sources{
		"no list":      fromYAML(head),
		"an empty one": fromYAML(head + "services: []\n"),
		"null":         fromYAML(head + "services:\n"),
		"no file":      {Environ: []string{"MEP_APPLICATION_ID=a"}},
	} {
		c, err := LoadAgent(src)
		require.NoError(t, err, name)
		assert.Empty(t, c.Services, name)
		assert.Contains(t, c.Warnings.Error(), "services: are none: nothing is registered", name)
	}
	c, err := LoadAgent(Sources{Environ: []string{"APPINSTID=a"}})
	require.NoError(t, err)
	assert.Contains(t, c.Warnings.Error(), "APPINSTID: is set, as for EdgeGallery's agent, but there is no conf/app_instance_info.yaml")
}

func TestWhatIsOddInEdgeGallerysEnvironmentIsSaid(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := LoadAgent(Sources{Environ: []string{"MEP_APPLICATION_ID=a", "MEP_IP=10.0.0.1", "AK=ak", "SK=" + secret}})
	require.NoError(t, err)
	for _, name := range []string{"MEP_IP", "AK", "SK"} {
		assert.Contains(t, c.Warnings.Error(), name+": is not used: without APPINSTID")
	}
	assert.NotContains(t, c.Warnings.Error(), secret)
	c, err = LoadAgent(Sources{Environ: []string{"APPINSTID=a", "MEP_IP=10.0.0.1", "EG_PROTOCOL=http", "CA_CERT=/nowhere", "CA_CERT_DOMAIN_NAME=edgegallery"}})
	require.NoError(t, err)
	assert.NotContains(t, c.Warnings.Error(), "CA_CERT", "nothing is verified without TLS")
	lines := agentFaults(t, Sources{Environ: []string{"APPINSTID=a", "MEP_IP=10.0.0.1", "AK=ak"}}, acceptAll)
	assert.Equal(t, []string{"AK: identity.secretKeyFile: is mandatory for identity.kind edgegallery; or set MEP_IDENTITY_SECRET_KEY"}, lines)
}
