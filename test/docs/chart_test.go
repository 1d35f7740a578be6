package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// ofEdgeGallerys stands in a command for EdgeGallery's own chart.
const ofEdgeGallerys = " edgegallery/mep "

// setsValues wants commands of helm for a chart that is there, with values that it has. Of
// EdgeGallery's chart the values are those of build/helm/values-edgegallery.yaml, all of them.
func setsValues(b Block) (wrong []string) {
	for _, command := range commands(b) {
		words := strings.Fields(command)
		if len(words) < 4 || words[0] != "helm" || words[1] != "install" && words[1] != "upgrade" {
			wrong = append(wrong, command+" is not known here")
			continue
		}
		file := "build/helm/values-edgegallery.yaml"
		foreign := strings.Contains(command, ofEdgeGallerys)
		if !foreign {
			file = filepath.Join(words[3], "values.yaml")
		}
		have := valuesOf(file)
		if len(have) == 0 {
			wrong = append(wrong, "there is no chart "+words[3])
		}
		for i, w := range words {
			if w != "--set" {
				continue
			}
			key, value, _ := strings.Cut(words[i+1], "=")
			if !have[key] || value == "" {
				wrong = append(wrong, fmt.Sprintf("%s has no value %s", file, key))
			}
			delete(have, key)
		}
		if foreign && len(have) > 0 {
			wrong = append(wrong, fmt.Sprintf("%v is not set", have))
		}
	}
	return wrong
}

// valuesOf are the values of a chart, as --set names them.
func valuesOf(file string) map[string]bool {
	var values any
	have := map[string]bool{}
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil || yaml.Unmarshal(text, &values) != nil {
		return have
	}
	for _, k := range keys("", values) {
		have[strings.ReplaceAll(strings.TrimPrefix(k, "/"), "/", ".")] = true
	}
	return have
}

// loadsAnImage wants commands for files that build/release.sh makes, of one version.
func loadsAnImage(b Block) (wrong []string) {
	script := read("build/release.sh")
	_, images, _ := strings.Cut(script, "\nfor name in ")
	images, _, _ = strings.Cut(images, ";")
	for _, word := range strings.Fields(b.Text) {
		file := strings.TrimPrefix(word, "oci-archive:")
		name, image := strings.CutSuffix(file, "-v1.0.0.oci.tar")
		switch {
		case image && strings.Contains(" "+images+" ", " "+name+" "):
		case image, strings.Contains(file, "SUMS") && !strings.Contains(script, " "+file+" "), strings.HasSuffix(file, ".tar"):
			wrong = append(wrong, "build/release.sh makes no "+file)
		}
	}
	return wrong
}
