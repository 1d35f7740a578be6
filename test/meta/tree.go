package meta

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// Tree is the text of one repository, or of a fixture that stands for one.
type Tree struct {
	Module string // the module path of its go.mod
	Files  []File // in order of their paths
}

// File is one file of a Tree.
type File struct {
	Path string // with slashes, from the root
	Data []byte
	Go   *ast.File // nil unless it is a Go file
	fset *token.FileSet
}

// Finding is one breach of a rule.
type Finding struct {
	Rule string
	Path string
	Line int // 0: the whole file
	Text string
}

func (f Finding) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", f.Path, f.Rule, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", f.Path, f.Line, f.Rule, f.Text)
}

// leftovers are folders at the root that running and building leave behind;
// .gitignore names the same.
var leftovers = map[string]bool{"data": true, "bin": true, "dist": true}

// skip tells whether a folder holds nothing of ours: git's own, fixtures, leftovers.
func skip(rel string) bool {
	base := path.Base(rel)
	return base == ".git" || base == "testdata" || leftovers[rel]
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+(\S+)`)

// Walk reads a tree. Every rule judges what Walk returns, so that no rule can
// look at less than another.
func Walk(root string) (*Tree, error) {
	t := &Tree{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && skip(rel):
			return filepath.SkipDir
		case !d.Type().IsRegular(), rel == ".git": // the latter in a linked work tree
			return nil
		}
		return t.add(p, rel)
	})
	if err != nil {
		return nil, err
	}
	sort.Slice(t.Files, func(i, j int) bool { return t.Files[i].Path < t.Files[j].Path })
	if t.Module == "" {
		return nil, fmt.Errorf("%s has no go.mod with a module line", root)
	}
	return t, nil
}

func (t *Tree) add(name, rel string) error {
	data, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil // a build's leftover, gone since it was listed
	}
	if err != nil {
		return err
	}
	f := File{Path: rel, Data: data}
	if rel == "go.mod" {
		if m := moduleLine.FindSubmatch(data); m != nil {
			t.Module = string(m[1])
		}
	}
	if strings.HasSuffix(rel, ".go") {
		f.fset = token.NewFileSet()
		if f.Go, err = parser.ParseFile(f.fset, rel, data, parser.ParseComments); err != nil {
			return err
		}
	}
	t.Files = append(t.Files, f)
	return nil
}

// Dir is the file's folder from the root, "." for the root itself.
func (f File) Dir() string { return path.Dir(f.Path) }

// Test tells whether only `go test` compiles the file.
func (f File) Test() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Generated tells whether a program wrote the file.
func (f File) Generated() bool { return f.Go != nil && ast.IsGenerated(f.Go) }

// Binary tells whether the file is no text.
func (f File) Binary() bool { return bytes.IndexByte(f.Data, 0) >= 0 }

// Line is where a node stands.
func (f File) Line(p token.Pos) int { return f.fset.Position(p).Line }

// within tells whether dir is one of the folders or lies below one.
func within(dir string, folders ...string) bool {
	for _, f := range folders {
		if dir == f || strings.HasPrefix(dir, f+"/") {
			return true
		}
	}
	return false
}

// nested tells whether the file belongs to a module of its own below the root,
// such as build/tools, whose code is not the house's.
func (t *Tree) nested(f File) bool {
	for _, g := range t.Files {
		if path.Base(g.Path) == "go.mod" && g.Path != "go.mod" && within(f.Dir(), g.Dir()) {
			return true
		}
	}
	return false
}

// goFiles are the Go files of the tree's own module.
func (t *Tree) goFiles() []File {
	var list []File
	for _, f := range t.Files {
		if f.Go != nil && !t.nested(f) {
			list = append(list, f)
		}
	}
	return list
}
