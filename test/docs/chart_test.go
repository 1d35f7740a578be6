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

// job is what a rehearsal of the import needs of a Job.
type job struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Namespace string `yaml:"namespace"`
	} `yaml:"metadata"`
	Spec struct {
		Template struct {
			Spec struct {
				SecurityContext map[string]int `yaml:"securityContext"`
				Containers      []struct {
					Image        string   `yaml:"image"`
					Args         []string `yaml:"args"`
					VolumeMounts []struct {
						Name      string `yaml:"name"`
						MountPath string `yaml:"mountPath"`
						ReadOnly  bool   `yaml:"readOnly"`
					} `yaml:"volumeMounts"`
				} `yaml:"containers"`
				Volumes []map[string]any `yaml:"volumes"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

// isTheRehearsal wants a Job that reads the volume of EdgeGallery's pod as its user, with a
// command that the program has.
func isTheRehearsal(b Block) (wrong []string) {
	var j job
	if err := yaml.Unmarshal([]byte(b.Text), &j); err != nil {
		return []string{err.Error()}
	}
	pod := j.Spec.Template.Spec
	if j.Kind != "Job" || j.Metadata.Namespace != "mep" || len(pod.Containers) != 1 || len(pod.Containers[0].VolumeMounts) == 0 || len(pod.Volumes) == 0 {
		return []string{"it is no Job of the namespace mep with one container and its volumes"}
	}
	c := pod.Containers[0]
	if pod.SecurityContext["runAsUser"] != 166 || pod.SecurityContext["runAsGroup"] != 166 {
		wrong = append(wrong, "it does not run as the user of EdgeGallery's image")
	}
	if !strings.HasPrefix(c.Image, "registry.example.org/mepserver-edgegallery:") {
		wrong = append(wrong, c.Image+" is not the image of the swap")
	}
	if data := c.VolumeMounts[0]; data.MountPath != "/usr/mep/data" || !data.ReadOnly || pod.Volumes[0]["name"] != data.Name ||
		!strings.Contains(fmt.Sprint(pod.Volumes[0]), "claimName:mep-datastore-pvc") {
		wrong = append(wrong, "it does not only read the volume of EdgeGallery's mepserver")
	}
	if args := strings.Join(c.Args, " "); !strings.Contains(read("test/site/import_test.go"), `"`+strings.Join(c.Args, `", "`)+`"`) {
		wrong = append(wrong, "no test of test/site runs mepserver "+args)
	}
	return wrong
}
