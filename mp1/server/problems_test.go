package server

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// A client that is refused before its request is read gets the answer that a handler gives.
func TestARefusalInBytesIsTheAnswer(t *testing.T) {
	w := httptest.NewRecorder()
	Refuse(w, http.StatusServiceUnavailable, "Later.", 2)
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(Refusal(http.StatusServiceUnavailable, "Later.", 2))), nil)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, w.Code, res.StatusCode)
	require.JSONEq(t, w.Body.String(), string(body))
	require.Equal(t, w.Header(), res.Header)
	require.True(t, res.Close)
}
