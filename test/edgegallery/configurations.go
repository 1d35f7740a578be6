package edgegallery

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed configurations/*.yaml
var files embed.FS

// Configurations are files in each form that EdgeGallery's agent takes as
// conf/app_instance_info.yaml, by a name for the form: as its samples and tests, the
// chart of the developer platform and the example applications have them, and what its
// decoder takes beside.
func Configurations() map[string]string {
	all := map[string]string{}
	entries, err := fs.ReadDir(files, "configurations")
	if err != nil { // embedded: cannot happen
		panic(err)
	}
	for _, e := range entries {
		text, err := files.ReadFile(path.Join("configurations", e.Name()))
		if err != nil {
			panic(err)
		}
		all[strings.TrimSuffix(e.Name(), ".yaml")] = string(text)
	}
	return all
}
