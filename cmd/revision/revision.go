// Package revision says which build of a command is running. It must not know which
// command: the version stands in main, where the linker sets it for releases.
package revision

import "runtime/debug"

// Describe returns the version; "dev", which no linker has set, with the revision that it
// was built from, if that is known.
func Describe(version string) string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "dev" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return version + "-" + s.Value[:12]
			}
		}
	}
	return version
}
