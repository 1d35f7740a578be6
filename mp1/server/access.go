package server

// Access says who may use a route, if callers have identities. It is a column of the route
// table. The zero value is none of them: a route without it is refused to everybody.
type Access uint8

// Who may use a route.
const (
	// Open routes need no identity.
	Open Access = iota + 1
	// Identified routes are for whoever proves who he is, whatever his role.
	Identified
	// Owner routes are for the application in the path, the hosts that act for it, and admins.
	Owner
	// OwnerInBody routes are those of Owner, but the body names the application: their handler
	// asks Options.MayActFor.
	OwnerInBody
	// OwnersInBody routes are those of OwnerInBody, but the body names many applications: what
	// the caller may not do is refused by itself, and costs the rest nothing.
	OwnersInBody
	// Reading routes show what the platform does: for readers and admins.
	Reading
	// RegistryReading routes of service-center are for readers, registries and admins.
	RegistryReading
	// RegistryWriting routes of service-center are for registries and admins.
	RegistryWriting
	// Administrating routes are for admins.
	Administrating
	// Mm5 routes are for the components of an edge platform, which prove nothing: they are known
	// by where their requests arrive. Applications may use none.
	Mm5
	// Mm5OrOwner routes are those of Mm5 that are also for the application in the path.
	Mm5OrOwner
)

var accessNames = [...]string{"none", "open", "identified", "owner", "owner in body", "owners in body", "reading", "registry reading", "registry writing", "administrating", "mm5", "mm5 or owner"}

// String is its name in logs and documents.
func (a Access) String() string {
	if int(a) < len(accessNames) {
		return accessNames[a]
	}
	return accessNames[0]
}
