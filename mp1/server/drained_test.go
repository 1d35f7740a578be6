package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

func TestTheOwnerOfADrainedServiceIsToldWhoAndWhy(t *testing.T) {
	why := &Drained{Why: mp1.Cause{Kind: mp1.CauseDrained, By: "operator", Text: `a "<disk>"`}}
	require.True(t, errors.Is(why, heartbeat.ErrDrained))
	for method, body := range map[string]string{"PATCH " + servicePath + "/liveness": usual, "PUT " + servicePath: registration} {
		d := newFakeRegistry()
		d.err = why
		method, path, _ := strings.Cut(method, " ")
		w := request(d, method, path, strings.NewReader(body))
		var p mp1.ProblemDetails
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
		require.Equal(t, mp1.ProblemDetails{Type: mp1.DrainedType, Title: "Conflict", Status: http.StatusConflict,
			Detail: `The service instance is drained by operator: a "<disk>". Consumers see it INACTIVE until an administrator undrains it; neither a heartbeat nor a PUT to ACTIVE changes that.`}, p)
	}
}

// The member is ours: EdgeGallery's clients have never seen it, and whoever beats asks for an
// interval only.
func TestTheLivenessResourceSaysWhyButToNobodyElse(t *testing.T) {
	const why = `"reason":"no heartbeat in time"`
	path := servicePath + "/liveness"
	require.Contains(t, askAll(Options{}, httptest.NewRequest("GET", path, nil)).Body.String(), why)
	require.NotContains(t, askAll(Options{EdgeGallery: true}, httptest.NewRequest("GET", path, nil)).Body.String(), "reason")
	d := newFakeRegistry()
	d.changed = true
	w := request(d, "PATCH", path, strings.NewReader(usual))
	require.Equal(t, 200, w.Code)
	require.NotContains(t, w.Body.String(), "reason")
}
