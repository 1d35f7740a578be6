package appsupport

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

func viewed(d *directory, method, path string) *httptest.ResponseRecorder {
	m := http.NewServeMux()
	for _, r := range (view{d}).routes() {
		m.Handle(r.pattern, r.handler)
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestAdministratorsSeeHowFarApplicationsAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins at midnight of 2000
		d, _, b := newDirectory(true, true)
		registersAs(t, d, "a")
		require.NoError(t, d.ConfirmReady(t.Context(), "silent"))
		time.Sleep(time.Minute)
		require.NoError(t, d.ConfirmReady(t.Context(), "a"))
		require.NoError(t, d.BeginTermination(t.Context(), "a", 90, nil))
		const a = `{"appInstanceId":"a","registered":true,"appName":"n","ready":"2000-01-01T00:01:00.000Z",
			"termination":{"operationAction":"TERMINATING","begun":"2000-01-01T00:01:00.000Z","ends":"2000-01-01T00:02:30.000Z","confirmed":false},"leaving":false}`
		const silent = `{"appInstanceId":"silent","registered":false,"ready":"2000-01-01T00:00:00.000Z","leaving":false}`
		require.JSONEq(t, a, viewed(d, "GET", viewPath+"/a").Body.String())
		require.JSONEq(t, silent, viewed(d, "GET", viewPath+"/silent").Body.String())
		w := viewed(d, "GET", viewPath)
		require.JSONEq(t, `{"applications":[`+a+`,`+silent+`]}`, w.Body.String())
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))

		b.add("a", "1")
		require.NoError(t, d.ConfirmTermination(t.Context(), "a", mp1.Terminating))
		require.JSONEq(t, `{"appInstanceId":"a","registered":true,"appName":"n",
			"termination":{"operationAction":"TERMINATING","begun":"2000-01-01T00:01:00.000Z","ends":"2000-01-01T00:02:30.000Z","confirmed":true},"leaving":true}`, viewed(d, "GET", viewPath+"/a").Body.String())
		require.Equal(t, 1, d.inState(terminated))
		require.Equal(t, 1, d.inState(unregistered))
		require.Zero(t, d.inState(registered))
	})
}

func TestTheListOfApplicationsComesInPages(t *testing.T) {
	d, _, _ := newDirectory(true, true)
	for _, app := range []string{"c", "a", "e", "b", "d"} {
		registersAs(t, d, app)
	}
	var got []string
	after, pages := "", 0
	for pages == 0 || after != "" {
		path := viewPath + "?limit=2"
		if after != "" {
			path += "&after=" + after
		}
		var p page
		require.NoError(t, json.Unmarshal(viewed(d, "GET", path).Body.Bytes(), &p))
		for _, s := range p.Applications {
			got = append(got, s.AppInstanceID)
		}
		after = p.Next
		pages++
	}
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, got)
	require.Equal(t, 3, pages)
	require.JSONEq(t, `{"applications":[]}`, viewed(d, "GET", viewPath+"?after=e").Body.String())
	for i := range maxPage {
		d.observe(written(string(rune(0x10000+i)), heartbeat.Revision(1000+i), false), false)
	}
	var p page
	require.NoError(t, json.Unmarshal(viewed(d, "GET", viewPath).Body.Bytes(), &p))
	require.Len(t, p.Applications, maxPage)
	require.NotEmpty(t, p.Next)
}

func TestTheViewRefusesWhatItDoesNotTake(t *testing.T) {
	d, s, _ := newDirectory(true, true)
	registersAs(t, d, "a")
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "limit=", "limit=1&limit=1", "after=", "after=../x", "after=a&after=b", "x=1", "limit=1;x", "%zz"} {
		require.Equal(t, 400, viewed(d, "GET", viewPath+"?"+query).Code, query)
	}
	require.Equal(t, 400, viewed(d, "GET", viewPath+"/a?x=1").Code)
	require.Equal(t, 404, viewed(d, "GET", viewPath+"/none").Code)
	require.Equal(t, 404, viewed(d, "GET", viewPath+"/%2e%2e").Code)
	for _, path := range []string{viewPath, viewPath + "/a"} {
		w := viewed(d, "DELETE", path)
		require.Equal(t, 405, w.Code)
		require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	}
	s.fail = heartbeat.ErrUnavailable
	require.Equal(t, 503, viewed(d, "GET", viewPath+"/a").Code, "nobody knows whether it is there")
}
