package main

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// base is the only image that a stage may stand on; baseLayer is what stands for it here.
const base = "gcr.io/distroless/static-debian12:nonroot"

// stage is what the Dockerfile says of one image.
type stage struct {
	name   string
	copies []copying
	config v1.Config
}

// copying is one source of a COPY from the stage build.
type copying struct {
	from     string // below /out there
	to       string // ends in / if from goes into it under its own name
	uid, gid int
}

// parse reads the stages of a Dockerfile but for build, whose work release.sh does. An instruction
// that is not known is an error, for the image would lack it.
func parse(text string) (stages []stage, err error) {
	text = regexp.MustCompile(`\\\n\s*`).ReplaceAllString(text, " ")
	building := true
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		instruction, rest, _ := strings.Cut(line, " ")
		if instruction == "FROM" {
			words := strings.Fields(rest)
			if building = strings.HasSuffix(rest, " AS build"); building {
				continue
			}
			if words[0] != base {
				return nil, fmt.Errorf("FROM %s: only %s is known", words[0], base)
			}
			stages = append(stages, stage{config: baseConfig()})
			if len(words) == 3 && words[1] == "AS" {
				stages[len(stages)-1].name = words[2]
			}
			continue
		}
		if building {
			continue
		}
		if err := stages[len(stages)-1].take(instruction, strings.TrimSpace(rest)); err != nil {
			return nil, fmt.Errorf("instruction %d, %s: %w", number+1, line, err)
		}
	}
	return stages, nil
}

func (s *stage) take(instruction, rest string) error {
	switch instruction {
	case "COPY":
		return s.copy(strings.Fields(rest))
	case "WORKDIR":
		s.config.WorkingDir = rest
	case "USER":
		if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(rest) {
			return fmt.Errorf("a user that is not root, as numbers, is wanted")
		}
		s.config.User = rest
	case "EXPOSE":
		if _, err := strconv.ParseUint(rest, 10, 16); err != nil {
			return err
		}
		s.config.ExposedPorts = map[string]struct{}{rest + "/tcp": {}}
	case "VOLUME":
		var all []string
		if err := json.Unmarshal([]byte(rest), &all); err != nil {
			return err
		}
		s.config.Volumes = map[string]struct{}{}
		for _, v := range all {
			s.config.Volumes[v] = struct{}{}
		}
	case "ENTRYPOINT":
		return json.Unmarshal([]byte(rest), &s.config.Entrypoint)
	default:
		return fmt.Errorf("it is not known here")
	}
	return nil
}

// copy takes a COPY --from=build [--chown=UID:GID] SOURCE... TARGET.
func (s *stage) copy(words []string) error {
	var c copying
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		name, value, _ := strings.Cut(words[0], "=")
		switch {
		case name == "--from" && value == "build":
		case name == "--chown":
			if _, err := fmt.Sscanf(value, "%d:%d", &c.uid, &c.gid); err != nil {
				return fmt.Errorf("--chown: %w", err)
			}
		default:
			return fmt.Errorf("%s is not known here", words[0])
		}
		words = words[1:]
	}
	if len(words) < 2 {
		return fmt.Errorf("a source and a target are wanted")
	}
	c.to = words[len(words)-1]
	for _, from := range words[:len(words)-1] {
		below, is := strings.CutPrefix(from, "/out/")
		if !is || below != path.Clean(below) || !path.IsAbs(c.to) || strings.Contains(below, "..") {
			return fmt.Errorf("only what lies in /out can be copied, and to an absolute path")
		}
		c.from = below
		s.copies = append(s.copies, c)
	}
	return nil
}
