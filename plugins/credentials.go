package plugins

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// Credential is what an OAuth 2.0 client of the built-in issuer is known by. The store has
// no secret of it, only their hashes.
type Credential struct {
	ID string // the client_id; of an application: its appInstanceId
	// Roles are conf's. Apps are what a host acts for: appInstanceIds, or prefixes of them
	// that end in *.
	Roles, Apps []string
	// Generation is random. Tokens name it, and end when the credential has another: it was
	// made anew, or its tokens were ended.
	Generation string
	Secrets    []Secret           // the newest first
	Created    int64              // wall clock, Unix nanoseconds
	Rotated    int64              // when the newest secret was made; wall clock, Unix nanoseconds
	At         heartbeat.Revision // of its last write; 0: there is none
}

// Secret is one secret of a credential: 256 random bits, of which a plain hash says nothing.
type Secret struct {
	Hash [sha256.Size]byte // SHA-256 of the secret as it is sent
	Ends int64             // wall clock, Unix nanoseconds; 0: it does not
}

// Credentials is what the store offers to the issuer. Its errors are those of
// heartbeat.Store.
type Credentials interface {
	// SaveCredential writes a credential whose last write is still c.At (0: there is none)
	// and returns the new one; ErrConflict: it is not.
	SaveCredential(ctx context.Context, c Credential) (heartbeat.Revision, error)
	// EraseCredential erases a credential whose last write is still at; ErrConflict: it is not.
	EraseCredential(ctx context.Context, id string, at heartbeat.Revision) (heartbeat.Revision, error)
	// Credential reads one; its At is 0 if there is none. One that cannot be read has
	// neither roles nor secrets.
	Credential(ctx context.Context, id string) (Credential, error)
	// FollowCredentials calls load with all credentials, and then see with every write until
	// ctx ends; At is the revision of the write, and erased says whether it erased the
	// credential. Whatever breaks the watch leads to a new load. current is called with the
	// newest time before which every write was shown, about twice a second as long as the
	// store answers, and never if this process is the only writer. None of them may block.
	FollowCredentials(ctx context.Context, load func(all []Credential, at heartbeat.Revision),
		see func(c Credential, erased bool), current func(asOf time.Time), failed func(reason string, err error))
}
