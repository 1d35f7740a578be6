package client

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

func TestWhatARefusalIsIsToldByErrorsIs(t *testing.T) {
	all := []error{ErrInvalid, ErrUnauthorized, ErrForbidden, ErrNotFound, ErrConflict, ErrStale, ErrLimit, ErrUnavailable}
	for status, want := range map[int][]error{
		400: {ErrInvalid}, 401: {ErrUnauthorized}, 403: {ErrForbidden}, 404: {ErrNotFound}, 409: {ErrConflict}, 410: {ErrNotFound}, 412: {ErrStale},
		413: {ErrInvalid}, 415: {ErrInvalid}, 422: {ErrInvalid}, 429: {ErrLimit}, 502: {ErrUnavailable}, 503: {ErrUnavailable}, 504: {ErrUnavailable}, 507: {ErrUnavailable},
		302: nil, 405: nil, 500: nil,
	} {
		_, err := newFakePlatform(t, respond(status, `{"type":"about:blank"}`)).client(t, "").Service(t.Context(), "id1")
		err = fmt.Errorf("wrapped: %w", err)
		for _, kind := range all {
			require.Equal(t, slices.Contains(want, kind), errors.Is(err, kind), "%d is %v", status, kind)
		}
	}
}

// A refusal says that an operator has drained the service, and why; one of what its application set
// INACTIVE does not.
func TestADrainIsToldByErrorsIs(t *testing.T) {
	for kind, drained := range map[string]bool{mp1.DrainedType: true, "about:blank": false} {
		_, err := newFakePlatform(t, respond(http.StatusConflict, `{"type":"`+kind+`","detail":"drained by ops: disk"}`)).client(t, "").Beat(t.Context(), "/mec_service_mgmt/v1/applications/a/services/s/liveness")
		err = fmt.Errorf("wrapped: %w", err)
		require.Equal(t, drained, errors.Is(err, ErrDrained), kind)
		require.ErrorIs(t, err, ErrConflict)
		require.ErrorContains(t, err, "drained by ops: disk")
	}
}

func TestALimitIsOneWhateverItsStatus(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden} {
		_, err := newFakePlatform(t, respond(status, `{"type":"`+mp1.LimitType+`","detail":"too many"}`)).client(t, "").Register(t.Context(), "a", mp1.ServiceInfo{})
		require.ErrorIs(t, err, ErrLimit)
		require.ErrorIs(t, err, kinds[status])
	}
}
