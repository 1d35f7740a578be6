package e2e

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// console is a folder with the least that counts as ServiceComb's console.
func console(t *testing.T) (setting string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.html"), []byte("<html>console</html>"), 0o600))
	return "MEP_SERVER_CONSOLE_DIR=" + dir
}

const governed = "/v4/default/govern/microservices?options=instances,dependencies&withShared=true"

// governedStatus is what the console shows of a service's only instance; "": there is none.
func governedStatus(t *testing.T, s *mep.Server, name string) (status string) {
	t.Helper()
	var list struct {
		Services []struct {
			MicroService struct{ ServiceName string }
			Instances    []struct{ Status string }
		} `json:"allServicesDetail"`
	}
	s.Want(http.StatusOK, http.MethodGet, "/sc"+governed, "", "X-Domain-Name", "default").Into(t, &list)
	require.NotEmpty(t, list.Services, "service-center itself is there")
	for _, one := range list.Services {
		if one.MicroService.ServiceName == name && len(one.Instances) > 0 {
			status = one.Instances[0].Status
		}
	}
	return status
}

// What the console asks for below /sc is what service-center shows, and it shows the life of a
// service: UP, OUTOFSERVICE when it is not heard, UP again, and gone.
func TestTheConsoleIsShownTheLifeOfAService(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, append(mep.Fast, console(t))...)
	require.Contains(t, string(s.Want(http.StatusOK, http.MethodGet, "/servicecomb/", "").Body), "console")
	v := s.Register("shop", "cart", 1)
	is := func(want string) func() bool { return func() bool { return governedStatus(t, s, "cart") == want } }
	beating := func(want string) func() bool { return func() bool { v.Beat(); return is(want)() } }
	wait.Until(t, "it is UP", beating("UP"))
	wait.Until(t, "it is OUTOFSERVICE", is("OUTOFSERVICE"))
	wait.Until(t, "it is UP again", beating("UP"))
	s.Want(http.StatusNoContent, http.MethodDelete, v.Location, "")
	wait.Until(t, "it is gone", is(""))

	// Upstream's process would send this wherever the header says.
	s.Want(http.StatusNotFound, http.MethodGet, "/testSchema/v1/x", "", "X-InstanceIP", "127.0.0.1:1")
	s.Want(http.StatusNotFound, http.MethodGet, "/sc/testSchema/v1/x", "", "X-InstanceIP", "127.0.0.1:1")
	s.Want(http.StatusNotFound, http.MethodGet, "/sc/mec_service_mgmt/v1/services", "")
	s.Want(http.StatusNotFound, http.MethodGet, "/sc/v4/../../metrics", "")
	s.Want(http.StatusNotFound, http.MethodGet, "/servicecomb/%2e%2e/%2e%2e/etc/passwd", "")
}

// Behind the same doors as the API itself: who logged in reads, a reader writes nothing, what Mp1
// registered nobody deletes, and another site does nothing at all.
func TestTheConsoleIsForWhoLoggedIn(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t, console(t))
	login := func(c mep.Credential) string {
		a := s.Do(http.MethodPost, "/login", url.Values{"client_id": {c.ID}, "client_secret": {c.Secret}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		all, err := http.ParseSetCookie(a.Header.Get("Set-Cookie"))
		require.NoError(t, err, "%d", a.Status)
		return all.Name + "=" + all.Value
	}
	app := s.Add("shop")
	reader, registry, own := login(s.Add("operator", "reader")), login(s.Add("comb", "registry")), login(app)
	s.As(app).Register("shop", "cart", 30)
	for _, path := range []string{"/servicecomb/", "/servicecomb/index.html", "/sc" + governed} {
		s.Want(http.StatusUnauthorized, http.MethodGet, path, "")
		s.Want(http.StatusForbidden, http.MethodGet, path, "", "Cookie", own)
		s.Want(http.StatusOK, http.MethodGet, path, "", "Cookie", reader)
		s.Want(http.StatusOK, http.MethodGet, path, "", "Cookie", registry)
	}
	led := s.Want(http.StatusSeeOther, http.MethodGet, "/servicecomb/", "", "Accept", "text/html,*/*;q=0.8")
	require.Equal(t, "/login?next=console", led.Header.Get("Location"), "a browser is led to the login")
	s.Want(http.StatusOK, http.MethodGet, "/servicecomb/", "", "Accept", "text/html,*/*;q=0.8", "Cookie", reader)
	var id string
	wait.Until(t, "the service is shown", func() bool {
		list := s.Want(http.StatusOK, http.MethodGet, "/sc/v4/default/registry/microservices", "", "Cookie", reader).Object(t)
		all, _ := list["services"].([]any)
		for _, one := range all {
			if m := one.(map[string]any); m["serviceName"] == "cart" {
				id = m["serviceId"].(string)
			}
		}
		return id != ""
	})
	remove := "/sc/v4/default/registry/microservices/" + id + "?force=true"
	s.Want(http.StatusForbidden, http.MethodDelete, remove, "", "Cookie", reader, "Sec-Fetch-Site", "same-origin")
	s.Want(http.StatusForbidden, http.MethodDelete, remove, "", "Cookie", registry, "Sec-Fetch-Site", "cross-site")
	refused := s.Do(http.MethodDelete, remove, "", "Cookie", registry, "Sec-Fetch-Site", "same-origin")
	require.GreaterOrEqual(t, refused.Status, 400, "what Mp1 registered is deleted by Mp1: %s", refused.Body)
	require.Equal(t, refused.Status, s.Do(http.MethodDelete, strings.TrimPrefix(remove, "/sc"), "", "Cookie", registry, "Sec-Fetch-Site", "same-origin").Status)
	require.NotEmpty(t, s.As(app).Want(http.StatusOK, http.MethodGet, mep.ServicesOf("shop"), "").List(t))
}

func TestAServerWithoutItsConsoleDoesNotStart(t *testing.T) {
	t.Parallel()
	code, p := proc.Command{Program: mep.Binary(), Args: []string{"--listen", proc.Free(t), "--data-dir", t.TempDir(), "--console-dir", filepath.Join(t.TempDir(), "none")}}.Run(t, time.Minute)
	require.Equal(t, 1, code)
	require.Contains(t, p.Stderr.String(), "cannot open the folder of the console")
	s := mep.Start(t)
	s.Want(http.StatusNotFound, http.MethodGet, "/servicecomb/", "")
}

// rowsOfInstances is what a look at the page of instances says of each row of the table: its words,
// and the colour of its status.
const rowsOfInstances = `JSON.stringify([...document.querySelectorAll("table tbody tr")].map(r => {
	const s = r.querySelector(".serviceStatus");
	return {text: r.innerText, status: s ? s.innerText : "", colour: s ? getComputedStyle(s).backgroundColor : ""};
}).filter(r => r.text.includes("cart")))`

// Upstream's console as it is assembled, in Chromium, under the policy that the server gives it: the
// life of a service in the colours in which ServiceComb's operators know it.
func TestTheConsoleShowsAServiceGreenGreyGreenAndGone(t *testing.T) {
	t.Parallel()
	tier.Long(t, "test/e2e", "assembles ServiceComb's console and runs Chromium")
	proc.Find(t, "chromium")
	proc.Find(t, "npm")
	look := built.Module(t, "test/e2e/chromium", ".")
	dir := filepath.Join(t.TempDir(), "console")
	code, p := proc.Command{Program: "../../build/console/assemble.sh", Args: []string{dir}}.Run(t, 5*time.Minute)
	if code != 0 && strings.Contains(p.Stderr.String(), "npm error") {
		t.Skipf("npm's registry is not reached: %s", p.Stderr)
	}
	require.Zero(t, code, "%s", p.Stderr)
	s := mep.Start(t, append(mep.Fast, "MEP_SERVER_CONSOLE_DIR="+dir)...)
	v := s.Register("shop", "cart", 1)
	seen := proc.Command{Program: look, Args: []string{s.URL + "/servicecomb/#!/sc/instances", rowsOfInstances}}.Start(t)
	defer func() {
		if t.Failed() {
			t.Logf("seen: %s%s", seen.Stdout, seen.Stderr)
		}
	}()
	last := func() string {
		lines := strings.Split(strings.TrimSpace(seen.Stdout.String()), "\n")
		require.False(t, seen.Ended(), "%s", seen.Stderr)
		return lines[len(lines)-1]
	}
	shows := func(status, colour string) func() bool {
		return func() bool {
			return strings.Contains(last(), `"status":"`+status+`"`) && strings.Contains(last(), `"colour":"`+colour+`"`)
		}
	}
	beating := func(seen func() bool) func() bool { return func() bool { v.Beat(); return seen() } }
	const green, grey = "rgb(94, 204, 73)", "rgb(188, 194, 201)"
	wait.Until(t, "it is green", beating(shows("UP", green)))
	wait.Until(t, "it is grey", shows("OUTOFSERVICE", grey))
	wait.Until(t, "it is green again", beating(shows("UP", green)))
	s.Want(http.StatusNoContent, http.MethodDelete, v.Location, "")
	wait.Until(t, "it is gone", func() bool { return last() == "[]" })
}
