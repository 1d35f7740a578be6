package external

import (
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

const storePassword = "correct-horse-7c1d"

// secured is an etcd that admits, at its https endpoint, only who has a certificate of
// ours, and everywhere only users: root, and mep with the rights that the operator's
// guide asks for. Its plain endpoint is for the test.
func secured(t *testing.T, ours *pki.Authority) (c *etcd.Cluster, endpoint string) {
	t.Helper()
	server, address := ours.Server("127.0.0.1"), proc.Free(t)
	endpoint = "https://" + address
	c = etcd.Start(t, etcd.Binary(t, etcd.Current), 1, "--listen-client-urls", "http://{client},"+endpoint,
		"--cert-file", server.CertFile, "--key-file", server.KeyFile, "--trusted-ca-file", ours.File, "--client-cert-auth")
	ctx, root := t.Context(), c.Dial()
	_, err := root.RoleAdd(ctx, "mep")
	require.NoError(t, err)
	for _, prefix := range []string{"/mep/", "/cse-sr/"} {
		_, err = root.RoleGrantPermission(ctx, "mep", prefix, clientv3.GetPrefixRangeEnd(prefix), clientv3.PermissionType(clientv3.PermReadWrite))
		require.NoError(t, err)
	}
	for user, password := range map[string]string{"root": "roots-own-2b9e", "mep": storePassword} {
		_, err = root.UserAdd(ctx, user, password)
		require.NoError(t, err)
		_, err = root.UserGrantRole(ctx, user, user)
		require.NoError(t, err)
	}
	_, err = root.AuthEnable(ctx)
	require.NoError(t, err)
	_, err = root.Get(ctx, "/mep/", clientv3.WithPrefix())
	require.ErrorContains(t, err, "user name is empty", "nobody reads without a password now")
	return c, endpoint
}

func passwordFile(t *testing.T, password string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(password+"\n"), 0o600))
	return file
}

func storeAccess(ca string, client pki.Pair, passwordFile string) []string {
	return []string{"MEP_STORE_CA_FILE=" + ca, "MEP_STORE_CERT_FILE=" + client.CertFile, "MEP_STORE_KEY_FILE=" + client.KeyFile,
		"MEP_STORE_USERNAME=mep", "MEP_STORE_PASSWORD_FILE=" + passwordFile}
}

// The whole life of a service over a cluster with TLS, client certificates and users.
func TestASecureClusterServesWhoMayUseIt(t *testing.T) {
	ours := pki.New(t)
	c, endpoint := secured(t, ours)
	env := append(storeAccess(ours.File, ours.Client("mepserver"), passwordFile(t, storePassword)), mep.Fast...)
	r := mep.Options{Endpoints: []string{endpoint}, Env: env}.Start(t)
	id := r.Register("app", "n", 1).ID
	for range 8 { // 4 s: twice the window
		time.Sleep(500 * time.Millisecond)
		heard(t, r, id)
	}
	wait.Until(t, "discovered", func() bool { return r.Discovered(id) })
	require.Equal(t, "ACTIVE", r.State(id))
	wait.Until(t, "hidden", func() bool { return !r.Discovered(id) })
	wait.Until(t, "suspended", func() bool { return r.State(id) == "SUSPENDED" })
	counted(t, 1, claims, r)

	// etcd forgets whom it let in when it restarts; every call and stream asks anew.
	c.Members[0].Kill()
	c.Members[0].Launch(t)
	wait.Until(t, "heard again", func() bool { return r.Beat("app", id) == http.StatusNoContent })
	wait.Until(t, "discovered again", func() bool { return r.State(id) == "ACTIVE" && r.Discovered(id) })
	wait.Until(t, "suspended again", func() bool { return r.State(id) == "SUSPENDED" })
	wait.Until(t, "written and watched", func() bool { // etcd on a busy machine may be too slow to confirm it
		again, err := r.TryRegister("app", "m", 60)
		return err == nil && r.Discovered(again.ID)
	})
	require.Equal(t, 0, r.Terminate())
	require.NotContains(t, r.Stderr.String(), storePassword)
}

func TestASecureClusterRefusesEveryoneElseInOneClearLine(t *testing.T) {
	ours, theirs := pki.New(t), pki.New(t)
	_, endpoint := secured(t, ours)
	const wrong = "wrong-horse-90aa"
	client, password := ours.Client("mepserver"), passwordFile(t, storePassword)
	expired := ours.Client("expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for name, tt := range map[string]struct {
		env  []string
		want string
	}{
		"no client certificate":                 {storeAccess(ours.File, pki.Pair{}, password), "certificate required"},
		"a client certificate of somebody else": {storeAccess(ours.File, theirs.Client("mepserver"), password), "remote error: tls: "},
		"a client certificate that has ended":   {storeAccess(ours.File, expired, password), "remote error: tls: expired certificate"},
		"an authority that is not the servers'": {storeAccess(theirs.File, client, password), "unknown authority"},
		"a wrong password":                      {storeAccess(ours.File, client, passwordFile(t, wrong)), "authentication failed, invalid user ID or password"},
	} {
		t.Run(name, func(t *testing.T) {
			line := exits(t, endpoint, tt.env...)
			t.Log(line)
			require.Contains(t, line, "the etcd cluster at "+endpoint+": ")
			require.Contains(t, line, tt.want)
			require.NotContains(t, line, storePassword)
			require.NotContains(t, line, wrong)
		})
	}
}
