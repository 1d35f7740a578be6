package plugins

// StoreHealth is how the servers of the store are, for who looks for faults: asking costs a request
// to each of them.
type StoreHealth struct {
	Members []StoreMember `json:"members"`
	// Leader is the ID of the member of a cluster that leads, by those that answer, also where it is
	// not among Members; "": none of them knows one.
	Leader string `json:"leader,omitempty"`
	// Unlisted is why nobody knows which members there are besides; "": these are all.
	Unlisted string     `json:"unlisted,omitempty"`
	Disk     *StoreDisk `json:"disk,omitempty"` // of an embedded store
}

// StoreMember is one server of the store.
type StoreMember struct {
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Endpoint  string `json:"endpoint,omitempty"` // at which it is asked; "": nobody has named it
	Version   string `json:"version,omitempty"`
	Leader    bool   `json:"leader"`
	Learner   bool   `json:"learner,omitempty"`
	UsedBytes int64  `json:"usedBytes,omitempty"`
	SizeBytes int64  `json:"sizeBytes,omitempty"`
	// QuotaBytes is what its database may grow to; 0: it does not say.
	QuotaBytes int64    `json:"quotaBytes,omitempty"`
	Alarms     []string `json:"alarms,omitempty"` // such as NOSPACE, and that there is no leader
	Advice     string   `json:"advice,omitempty"` // what speaks against its version
	Error      string   `json:"error,omitempty"`  // why it does not answer
}

// StoreDisk is what the store lies on.
type StoreDisk struct {
	FileSystem string `json:"fileSystem,omitempty"` // one that needs a word, such as NFS
	Remote     bool   `json:"remote,omitempty"`     // it is one of another machine
	FreeBytes  int64  `json:"freeBytes"`
}
