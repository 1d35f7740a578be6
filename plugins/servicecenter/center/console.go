package center

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/mec-liveness/mepserver/mp1/server"
)

const (
	// consolePath is below what ServiceComb's own console is served.
	consolePath = "/servicecomb/"
	// aliasPrefix stands before service-center's API in what that console asks for: upstream
	// serves it from a process of its own, which passes on what is below it.
	aliasPrefix = "/sc"
	consoleName = "mep.Console"
)

// consolePolicy lets the console's own files run and ask this server, and nothing else. AngularJS
// finds out by itself that it may evaluate no text; it and its widgets set styles at elements.
const consolePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// consoleTypes are the files that a console consists of, with what they are: nothing else is
// served, whatever lies in the folder, and no browser guesses.
var consoleTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".json": "application/json",
	".svg": "image/svg+xml", ".png": "image/png", ".gif": "image/gif", ".ico": "image/x-icon", ".jpg": "image/jpeg",
	".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf", ".eot": "application/vnd.ms-fontobject",
}

// console serves the files of ServiceComb's own console from a folder. The folder is the
// operator's; what is asked for is anybody's: no path and no link leads out of it.
type console struct{ root *os.Root }

func newConsole(dir string) (*console, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the folder of the console: %w", err)
	}
	k := &console{root}
	f, _, err := k.open("index.html")
	if err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("there is no console in %s: %w", dir, err)
	}
	return k, f.Close()
}

// ServeHTTP implements http.Handler.
func (k *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		server.RefuseMethod(w, http.MethodGet, http.MethodHead)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, consolePath)
	if name == "" {
		name = "index.html"
	}
	f, info, err := k.open(name)
	if err != nil {
		refuse(w, http.StatusNotFound, "The console has no such file.")
		return
	}
	defer func() { _ = f.Close() }()
	h := w.Header()
	h.Set("Content-Type", consoleTypes[path.Ext(name)])
	h.Set("Content-Security-Policy", consolePolicy)
	h.Set("Cache-Control", "no-cache") // asked again, and answered 304
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	http.ServeContent(w, r, name, info.ModTime(), f)
}

var errNoConsoleFile = errors.New("no file of a console")

// open opens a regular file of a known type, none of whose folders is hidden.
func (k *console) open(name string) (io.ReadSeekCloser, fs.FileInfo, error) {
	if !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00") || consoleTypes[path.Ext(name)] == "" {
		return nil, nil, errNoConsoleFile
	}
	for segment := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(segment, ".") {
			return nil, nil, errNoConsoleFile
		}
	}
	if info, err := k.root.Stat(name); err != nil || !info.Mode().IsRegular() { // to open a pipe would wait for its writer
		return nil, nil, errors.Join(errNoConsoleFile, err)
	}
	f, err := k.root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNoConsoleFile
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// ServeConsole serves the console in a folder. What it asks service-center for comes below /sc
// and must be made what it stands for before any door judges the request: see Aliases.
func (c *Center) ServeConsole(dir string) error {
	k, err := newConsole(dir)
	if err != nil {
		return err
	}
	c.console = k
	c.Handle("GET "+consolePath, consoleName, server.RegistryReading, k)
	c.Handle(consolePath, "mep.MethodNotAllowed", server.RegistryReading, k)
	return nil
}

// Aliases has what the console asks for below /sc be what it is without that, for all that follow.
// Only service-center's v4 API has such a second name: upstream's /testSchema, which sends requests
// to wherever a header says, has none.
func Aliases(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, aliasPrefix+"/v4/") && strings.HasPrefix(r.URL.EscapedPath(), aliasPrefix+"/v4/") {
			r = withoutAlias(r)
		}
		next.ServeHTTP(w, r)
	})
}

// withoutAlias is the request for what its path stands for. Its RequestURI goes with it: service-center
// takes the domain from there.
func withoutAlias(r *http.Request) *http.Request {
	u := new(url.URL)
	*u = *r.URL
	u.Path, u.RawPath = strings.TrimPrefix(u.Path, aliasPrefix), strings.TrimPrefix(u.RawPath, aliasPrefix)
	out := new(http.Request)
	*out = *r
	out.URL, out.RequestURI = u, u.RequestURI()
	return out
}
