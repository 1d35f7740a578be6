package security

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// sized is a ServiceInfo of about so many bytes.
func sized(size int) string {
	return `{"serName":"s","version":"1","state":"ACTIVE","serializer":"JSON","livenessInterval":60,` + strings.Repeat(" ", max(size-250, 1)) + `"transportInfo":{"id":"t","name":"n","type":"REST_HTTP","protocol":"HTTP","version":"2","endpoint":{"uris":["http://10.0.0.1"]},"security":{}}}`
}

// An application that writes too much is refused for exactly as long as it is told;
// meanwhile its heartbeats and deletions go on, and so do others.
func TestAnApplicationIsLimitedAndNobodyElse(t *testing.T) {
	s := mep.Start(t, "MEP_LIMITS_WRITES_PER_SECOND=1", "MEP_LIMITS_WRITES_BURST=5")
	beating, _ := fresh(t, s)
	services := mep.ServicesOf("app")
	var r mep.Answer
	for i := 0; r.Status != 429; i++ {
		r = s.Do("POST", services, sized(0))
		require.Less(t, i, 10)
	}
	require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"))
	wait, err := strconv.Atoi(r.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.Equal(t, 1, wait)
	for range 50 {
		s.Want(204, "PATCH", services+"/"+beating+"/liveness", mep.Alive)
		s.Want(204, "PUT", services+"/"+beating+"/liveness", mep.Alive)
	}
	s.Want(200, "GET", services, "")
	s.Want(204, "DELETE", services+"/"+beating, "") // the remedy always works
	s.Want(201, "POST", mep.ServicesOf("other"), sized(0))
	require.Contains(t, string(s.Do("GET", "/metrics", "").Body), `mep_limit_refused_total{limit="writes",scope="caller"}`)
	require.Zero(t, s.Metric(`mep_limit_per_second{limit="lists"}`), "none without identities")
	time.Sleep(time.Duration(wait) * time.Second)
	s.Want(201, "POST", services, sized(0))
}

// Bytes are limited in every form in which a body comes, and a refusal does not wait for
// a body that is withheld.
func TestBytesAreLimitedHoweverTheyAreSent(t *testing.T) {
	s := mep.Start(t, "MEP_LIMITS_BYTES_PER_SECOND=1KiB", "MEP_LIMITS_BYTES_BURST=64KiB")
	for name, send := range map[string]func(app string) int{
		"with its length": func(app string) int {
			return s.Do("POST", mep.ServicesOf(app), sized(20<<10)).Status
		},
		"in chunks": func(app string) int {
			r, err := http.NewRequest("POST", s.URL+mep.ServicesOf(app), io.MultiReader(strings.NewReader(sized(20<<10))))
			require.NoError(t, err)
			res, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			return res.StatusCode
		},
	} {
		app := strings.ReplaceAll(name, " ", "-")
		var statuses []int
		for range 5 {
			statuses = append(statuses, send(app))
		}
		require.Equal(t, []int{201, 201, 201, 429, 429}, statuses, name)
	}
	c, err := net.Dial("tcp", s.Listen)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.NoError(t, c.SetDeadline(time.Now().Add(5*time.Second)), "the server waits 10 s for a body")
	_, err = fmt.Fprintf(c, "POST %s/applications/in-chunks/services HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\n\r\n", mp1.Base)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err, "429 although the body does not come")
	require.NoError(t, res.Body.Close())
	require.Equal(t, 429, res.StatusCode)
}

// ServiceComb's own writes are counted by the address that they come from; its
// heartbeats, deletions and finds are not.
func TestServiceCombsWritesAreLimitedByAddress(t *testing.T) {
	s := mep.Start(t, "MEP_LIMITS_WRITES_PER_SECOND=1", "MEP_LIMITS_WRITES_BURST=6")
	base := "/v4/default/registry/microservices"
	s.Want(200, "POST", base, `{"service":{"serviceId":"sid","serviceName":"x","version":"1.0.0"}}`)
	s.Want(200, "POST", base+"/sid/instances", `{"instance":{"instanceId":"iid","hostName":"h","endpoints":["rest://10.0.0.1:80"]}}`)
	refused := 0
	for i := range 10 {
		r := s.Do("POST", base, fmt.Sprintf(`{"service":{"serviceName":"x%d","version":"1.0.0"}}`, i), "X-Forwarded-For", fmt.Sprintf("8.8.8.%d", i), "X-Domain-Name", fmt.Sprint("d", i))
		if r.Status == 429 {
			refused++
			require.NotEmpty(t, r.Header.Get("Retry-After"))
			require.Contains(t, string(r.Body), "errorCode")
		}
	}
	require.GreaterOrEqual(t, refused, 5)
	s.Want(429, "PUT", base+"/sid/instances/iid/status?value=DOWN", "")
	s.Want(200, "PUT", base+"/sid/instances/iid/heartbeat", "")
	s.Want(200, "PUT", "/v4/default/registry/heartbeats", `{"Instances":[{"serviceId":"sid","instanceId":"iid"}]}`)
	s.Want(200, "GET", base, "")
	s.Want(201, "POST", mep.ServicesOf("app"), sized(0)) // Mp1 has its own
	s.Want(200, "DELETE", base+"/sid/instances/iid", "")
}

// Clients that ask for lists and read none of them cost a share of a bounded memory, and
// are cut off; 150 of them held 330 MB.
func TestWhoDoesNotReadHoldsNoMemoryInProportion(t *testing.T) {
	s := mep.Start(t)
	for range 600 {
		s.Want(201, "POST", mep.ServicesOf("app"), sized(0))
	}
	var all []net.Conn
	for _, path := range []string{mp1.Base + "/services", "/mep" + mp1.Base + "/services", "/v4/default/govern/microservices?options=all"} {
		for range 50 {
			c, err := net.Dial("tcp", s.Listen)
			require.NoError(t, err)
			_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
			_, err = io.WriteString(c, strings.Repeat("GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n", 50))
			require.NoError(t, err)
			all = append(all, c)
		}
	}
	unread := func() int {
		n, ok := s.TryMetric("mep_answers_unread_bytes")
		require.True(t, ok, "there is no such metric")
		return int(n)
	}
	wait.Until(t, "they are held", func() bool { return unread() > 0 })
	require.Less(t, unread(), 17<<20)
	s.Want(201, "POST", mep.ServicesOf("other"), sized(0)) // others go on
	for _, c := range all {
		_ = c.Close()
	}
	wait.Until(t, "nothing stays", func() bool { return unread() == 0 })
}
