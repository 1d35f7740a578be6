package plugins

import (
	"context"
	"strings"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Gateway is an API gateway through which consumers reach services.
type Gateway interface {
	// Endpoint is where consumers reach a service, which has its id; nil: where it was registered.
	// It is asked by whoever shows services, must not block, and answers the same as long as the
	// service's endpoint is the same.
	Endpoint(info *mp1.ServiceInfo) *mp1.EndPointInfo
}

// The parts of what an endpoint is called at the gateway, as EdgeGallery has it.
const (
	GatewayPrefix = 128 // bytes of its service's name, at most
	GatewaySuffix = 20  // hexadecimal characters that only this endpoint has
)

// GatewayName tells the service of an endpoint's name at the gateway, as much of it as such a
// name can have: up to GatewayPrefix letters, digits, "-" and "_". Others are not names of endpoints, such
// as those of the platform's own parts there. It becomes part of URLs.
func GatewayName(name string) (serName string, ok bool) {
	i := len(name) - GatewaySuffix
	if i < 0 || i > GatewayPrefix || strings.Trim(name[i:], "0123456789abcdef") != "" {
		return "", false
	}
	for _, c := range []byte(name[:i]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return "", false
		}
	}
	return name[:i], true
}

// GatewayEntries are what an API gateway has, or may have, for one service. They are written
// before the gateway is told, so that whatever it may have is known after a crash.
type GatewayEntries struct {
	ID heartbeat.ID // of the service
	// Names are what each endpoint is called at the gateway, by its URI as the service was
	// registered with it.
	Names map[string]string
	// Removed are names that the gateway is to forget, until it has confirmed that.
	Removed []string
	At      heartbeat.Revision // of their last write; 0: there is none
}

// GatewayStore is what the store offers to those who publish services at an API gateway. Its
// errors are those of heartbeat.Store.
type GatewayStore interface {
	// SaveGatewayEntries writes the entries of a service whose last write is still e.At (0: there
	// is none) and returns the new one; ErrConflict: it is not.
	SaveGatewayEntries(ctx context.Context, e GatewayEntries) (heartbeat.Revision, error)
	// EraseGatewayEntries erases the entries of a service whose last write is still at;
	// ErrConflict: it is not.
	EraseGatewayEntries(ctx context.Context, id heartbeat.ID, at heartbeat.Revision) (heartbeat.Revision, error)
	// GatewayEntries reads those of one service; their At is 0 if there are none.
	GatewayEntries(ctx context.Context, id heartbeat.ID) (GatewayEntries, error)
	// FollowGatewayEntries calls load with all entries, and then see with every write until ctx
	// ends; erased says whether it erased the entries, of which only ID and At are set then.
	// Whatever breaks the watch leads to a new load. Neither may block.
	FollowGatewayEntries(ctx context.Context, load func(all []GatewayEntries, at heartbeat.Revision),
		see func(e GatewayEntries, erased bool), failed func(reason string, err error))
}
