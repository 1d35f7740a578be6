package docs

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/provision"
	"github.com/mec-liveness/mepserver/conf"
)

const docker = `docker build -f build/Dockerfile -t mepserver:dev .
docker run --rm -v store:/data mepserver:dev init --host mep.example.org --dir /data/mep
docker run -d --name mepserver -v store:/data -p 30100:30100 mepserver:dev --config /data/mep/mepserver.yaml
docker cp mepserver:/data/mep/ca.pem .
docker exec mepserver /usr/local/bin/mepserver app add my-app --config /data/mep/mepserver.yaml
`

// wrongImages are blocks with one mistake each.
func wrongImages() (all []string) {
	for _, change := range [][2]string{{"-t mepserver:dev", "-t mepserver:latest"}, {":/data ", ":/store "}, {"--dir /data/mep", "--dir /tmp/mep"}, {"--config", "--confi"},
		{"/data/mep/mepserver.yaml\ndocker cp", "/data/mepserver.yaml\ndocker cp"}, {"-p 30100:30100", "-p 30101:30101"}, {"--name", "--nam"}, {"--host mep.example.org", "--host mep:1"},
		{"mep/ca.pem", "mep/ca.key"}, {"cp mepserver:", "cp mepserver-1:"}, {"app add", "app create"}, {"exec mepserver /usr/local/bin", "exec mepserver /bin"}} {
		all = append(all, strings.Replace(docker, change[0], change[1], 1))
	}
	return all
}

// image is what the commands of a block have made so far.
type image struct {
	file  string // the Dockerfile
	dir   string // of the platform's files, in the container
	named string
	wrong []string
}

func (im *image) fault(format string, args ...any) {
	im.wrong = append(im.wrong, fmt.Sprintf(format, args...))
}

// runsTheImage compares the arguments of docker with the Dockerfile, and what it passes to
// the program with what that takes.
func runsTheImage(b Block) []string {
	im := &image{file: read("build/Dockerfile")}
	for _, command := range commands(b) {
		words := strings.Fields(command)
		switch {
		case strings.HasPrefix(command, "docker run "):
			im.run(words)
		case strings.HasPrefix(command, "docker cp "):
			if words[2] != im.named+":"+im.dir+"/"+provision.Authority {
				im.fault("%s: only the CA is copied, from %s", words[2], im.dir)
			}
		case strings.HasPrefix(command, "docker exec "):
			im.exec(words)
		case !strings.Contains(im.file, "#   "+command+"\n"):
			im.fault("build/Dockerfile does not say %q", command)
		}
	}
	return im.wrong
}

func (im *image) run(words []string) {
	var args []string
	for i := 2; i < len(words) && args == nil; i++ {
		switch w := words[i]; {
		case w == "-d", w == "--read-only", w == "--rm":
		case slices.Contains([]string{"--name", "--restart", "--stop-timeout", "--cap-drop", "--security-opt", "--ulimit"}, w):
			if i++; w == "--name" {
				im.named = words[i]
			}
		case w == "-v":
			i++
			if _, target, _ := strings.Cut(words[i], ":"); !strings.Contains(im.file, " /out/data "+target+"\n") {
				im.fault("the image has no folder %s", target)
			}
		case w == "-p":
			i++
			if port := words[i][strings.LastIndex(words[i], ":")+1:]; !strings.Contains(im.file, "EXPOSE "+port+"\n") {
				im.fault("-p %s", words[i])
			}
		case strings.HasPrefix(w, "-"):
			im.fault("docker run %s is not known here", w)
		default:
			args = words[i:]
		}
	}
	switch {
	case len(args) == 0 || !strings.Contains(im.file, "-t "+args[0]+" .\n"):
		im.fault("no image that is built")
	case len(args) == 6 && args[1] == "init" && args[2] == "--host" && args[4] == "--dir":
		im.init(args[3], args[5])
	case len(args) != 3 || args[1] != "--config" || im.dir == "" || args[2] != im.dir+"/"+provision.Configuration:
		im.fault("mepserver does not get what was made: %q", args)
	}
}

// init makes the files of a platform as the program does, and looks at them.
func (im *image) init(host, dir string) {
	if path.Dir(dir) != "/data" {
		im.fault("%s does not lie in the volume", dir)
	}
	im.dir = dir
	temp, err := os.MkdirTemp("", "mepserver-docs-")
	defer func() { _ = os.RemoveAll(temp) }()
	if err != nil {
		im.fault("%v", err)
		return
	}
	p, err := provision.Create(provision.Options{Dir: path.Join(temp, "mep"), Hosts: []string{host}, Now: time.Now()})
	if err != nil {
		im.fault("mepserver init: %v", err)
		return
	}
	c, err := conf.Load(conf.Sources{File: p.Path(provision.Configuration)})
	if err != nil {
		im.fault("mepserver: %v", err)
	}
	if _, port, _ := strings.Cut(c.Server.Listen, ":"); !strings.Contains(im.file, "EXPOSE "+port+"\n") {
		im.fault("mepserver listens on %s", c.Server.Listen)
	}
}

func (im *image) exec(words []string) {
	want := []string{"docker", "exec", im.named, "/usr/local/bin/mepserver", "app", "add", "my-app", "--config", im.dir + "/" + provision.Configuration}
	if !slices.Equal(words, want) {
		im.fault("%q is not %q", words, want)
	}
}

// isADropIn wants settings of mep-agent in a drop-in of its unit, and files that it brings.
func isADropIn(b Block) (wrong []string) {
	brought := ""
	for line := range strings.Lines(b.Text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name, setting, _ := strings.Cut(value, "="); key {
		case "[Service]":
		case "LoadCredential":
			brought, _, _ = strings.Cut(value, ":")
		case "Environment":
			c, err := conf.LoadAgent(conf.Sources{File: path.Join(root, "conf/mep-agent.yaml"), Environ: []string{
				"MEP_IDENTITY_KIND=oauth2", "MEP_IDENTITY_TOKEN_URL=https://mep/oauth2/token", "MEP_IDENTITY_CLIENT_ID=my-app", name + "=" + setting}})
			if err != nil || setting != "%d/"+brought || c.Identity.ClientSecretFile != setting {
				wrong = append(wrong, fmt.Sprintf("%s is not the secret of an agent: %v", line, err))
			}
		default:
			wrong = append(wrong, key+" is not known here")
		}
	}
	return wrong
}
