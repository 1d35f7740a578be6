package etcd

import (
	"context"
	"errors"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	etcderrors "go.etcd.io/etcd/server/v3/etcdserver/errors"
	"go.etcd.io/etcd/server/v3/lease"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// ErrRestored says that the store is not the one, or not in the state, that was shown before.
var ErrRestored = errors.New("the store went back in time: it was restored, or is another one")

// Translate maps etcd's errors to the engine's; whatever else happened stays what
// it is and counts as "no answer".
func Translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, lease.ErrLeaseNotFound), errors.Is(err, rpctypes.ErrLeaseNotFound):
		return heartbeat.ErrLeaseGone
	case errors.Is(err, rpctypes.ErrNoSpace), errors.Is(err, etcderrors.ErrNoSpace):
		return heartbeat.ErrFull
	default:
		return err
	}
}

// PlainError keeps gRPC's words for what happened and drops the rest.
func PlainError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	s, ok := grpcstatus.FromError(err)
	if !ok {
		return err
	}
	text := s.Message()
	if _, reason, found := strings.Cut(text, `desc = "`); found {
		text = strings.TrimSuffix(reason, `"`)
	}
	return errors.New(strings.TrimPrefix(text, "transport: "))
}
