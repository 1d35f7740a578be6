package server

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// cutOff is a body that ends before its length, as net/http reports it.
type cutOff struct{ io.Reader }

func (c cutOff) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF { //nolint:errorlint // it is compared as io.Reader returns it
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestAHeartbeatThatWasCutOffIsNone(t *testing.T) {
	require.Equal(t, 400, request(newFakeRegistry(), "PATCH", servicePath+"/liveness", cutOff{strings.NewReader(usual)}).Code)
	require.Equal(t, 400, request(newFakeRegistry(), "POST", mp1.Base+"/applications/app/services", cutOff{strings.NewReader(registration)}).Code)
	require.Equal(t, 204, request(newFakeRegistry(), "PATCH", servicePath+"/liveness", strings.NewReader(usual)).Code)
}

// RFC 9110 §13.1.1: a list of quoted tags, or * alone.
func TestIfMatchIsReadAsAListOfQuotedTags(t *testing.T) {
	const etag = `"abc"`
	for match, want := range map[string]bool{
		`"abc"`: true, ` "abc" `: true, `"x", "abc"`: true, `"x","abc" , "y"`: true, "*": true, " * ": true,
		`abc`: false, `"x"`: false, `W/"abc"`: false, `"a,*,b"`: false, `"a, "abc" ,b"`: false, `"x", *`: false, `*, "abc"`: false,
		`"abc`: false, `abc"`: false, `"abc" "x"`: false, "": false, ",": false, `"x", abc`: false, `W/"x", "abc"`: true, `"`: false, `"abc"x`: false,
	} {
		require.Equal(t, want, ifMatch([]string{match}, etag), match)
	}
	require.True(t, ifMatch([]string{`"x"`, etag}, etag), "in two lines")
}

func TestACodedBodyAndTwoTypesAreRefused(t *testing.T) {
	require.Equal(t, 415, request(newFakeRegistry(), "PATCH", servicePath+"/liveness", strings.NewReader(usual), "Content-Encoding", "gzip").Code)
	require.Equal(t, 204, request(newFakeRegistry(), "PATCH", servicePath+"/liveness", strings.NewReader(usual), "Content-Encoding", "identity").Code)
	r := httptest.NewRequest("PATCH", servicePath+"/liveness", strings.NewReader(usual))
	r.Header["Content-Type"] = []string{"application/json", "text/xml"}
	w := httptest.NewRecorder()
	mux(newFakeRegistry()).ServeHTTP(w, r)
	require.Equal(t, 415, w.Code)
}
