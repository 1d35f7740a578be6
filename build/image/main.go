// Command image writes the images of build/Dockerfile where no container engine runs, as OCI
// image layouts that are the same byte for byte whenever their input is. It knows the
// Dockerfile's last stages, and what base image they stand on; it must know nothing of the
// programs in them.
//
//	image -dockerfile build/Dockerfile -stage edgegallery -out OUT -bin BIN -name NAME -version V
//
// BIN holds a folder for each architecture, linux-amd64 and linux-arm64, with what the stage
// build leaves in /out. OUT becomes a layout with one index of both. Nothing is signed.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	var o options
	file := flag.String("dockerfile", "build/Dockerfile", "the Dockerfile")
	stage := flag.String("stage", "", "the stage that becomes the image; empty: the last one")
	flag.StringVar(&o.bin, "bin", "", "the folder with one folder for each architecture")
	flag.StringVar(&o.out, "out", "", "the layout's folder, which must not be there yet")
	flag.StringVar(&o.name, "name", "", "the name of the image, such as mepserver")
	flag.StringVar(&o.version, "version", "", "its version, which is its tag too")
	flag.StringVar(&o.revision, "revision", "", "the revision of the sources")
	epoch := flag.Int64("epoch", 0, "the time of everything in the image, in seconds since 1970")
	flag.Parse()
	o.created = time.Unix(*epoch, 0).UTC()
	if err := run(*file, *stage, o); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(file, stage string, o options) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	stages, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for i, s := range stages {
		if s.name == stage && stage != "" || stage == "" && i == len(stages)-1 {
			return write(s, o)
		}
	}
	return fmt.Errorf("%s has no stage %q", file, stage)
}
