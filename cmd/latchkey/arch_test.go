package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/latchkey-mcp/latchkey/"
)

// A sourceFile is one Go file, tests left out.
type sourceFile struct {
	path string // from the repository's root
	ast  *ast.File
}

func (f sourceFile) dir() string { return path.Dir(f.path) }

// A rule of the architecture reads a file and says what breaks it. mutants are
// files, by path, that break it: they show that the rule can fail.
type rule struct {
	name    string
	check   func(f sourceFile) []string
	mutants map[string]string
}

// TestArchitecture holds every rule against the source, and every mutant against
// its rule.
func TestArchitecture(t *testing.T) {
	files := readSource(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range files {
				for _, fault := range r.check(f) {
					t.Errorf("%s: %s", f.path, fault)
				}
			}
			if len(r.mutants) == 0 {
				t.Error("the rule has no mutant: nothing shows that it can fail")
			}
			for name, text := range r.mutants {
				if len(r.check(parse(t, name, text))) == 0 {
					t.Errorf("the rule misses this mutant of %s:\n%s", name, text)
				}
			}
		})
	}
}

// TestTopLevel keeps the house at its six folders.
func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, e := range entries {
		if e.IsDir() {
			folders = append(folders, e.Name())
		}
	}
	if odd := oddFolders(folders); len(odd) > 0 {
		t.Errorf("folders at the top that don't belong there: %q", odd)
	}
	if odd := oddFolders([]string{"cmd", "internal", ".git"}); !slices.Equal(odd, []string{"internal"}) {
		t.Errorf("the rule misses a mutant: got %q", odd)
	}
}

func oddFolders(folders []string) []string {
	return slices.DeleteFunc(folders, func(name string) bool {
		return strings.HasPrefix(name, ".") ||
			slices.Contains([]string{"cmd", "mcpserver", "oauthflow", "store", "testdata", "tools"}, name)
	})
}

// readSource parses every Go file of the repository but tests.
func readSource(t *testing.T) []sourceFile {
	t.Helper()
	var files []sourceFile
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, p)
		if d.IsDir() && (name == "testdata" || d.Name() == "node_modules" || len(d.Name()) > 2 && d.Name()[0] == '.') {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(p)
		files = append(files, parse(t, filepath.ToSlash(name), string(text)))
		return err
	})
	if err != nil || len(files) < 20 {
		t.Fatalf("read %d files: %v", len(files), err)
	}
	return files
}

func parse(t *testing.T, name, text string) sourceFile {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return sourceFile{name, f}
}

// imports are the paths that f imports.
func (f sourceFile) imports() []string {
	var list []string
	for _, spec := range f.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		list = append(list, p)
	}
	return list
}

// importName is what f calls the package at importPath, or "".
func (f sourceFile) importName(importPath string) string {
	for _, spec := range f.ast.Imports {
		if p, _ := strconv.Unquote(spec.Path.Value); p == importPath {
			if spec.Name != nil {
				return spec.Name.Name
			}
			return path.Base(p)
		}
	}
	return ""
}

// selections calls visit for each X.Sel with its enclosing node.
func (f sourceFile) selections(visit func(x, sel string, parent ast.Node)) {
	var stack []ast.Node
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		if s, ok := n.(*ast.SelectorExpr); ok {
			x, _ := s.X.(*ast.Ident)
			if x == nil {
				x = &ast.Ident{}
			}
			visit(x.Name, s.Sel.Name, stack[len(stack)-1])
		}
		stack = append(stack, n)
		return true
	})
}

// exported calls visit for each exported function, method, and method of an
// exported interface.
func (f sourceFile) exported(visit func(name string, fn *ast.FuncType, receiver ast.Expr)) {
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Name.IsExported() {
			var receiver ast.Expr
			if fn.Recv != nil {
				receiver = fn.Recv.List[0].Type
			}
			visit(fn.Name.Name, fn.Type, receiver)
		}
	}
	f.types(func(spec *ast.TypeSpec) {
		iface, ok := spec.Type.(*ast.InterfaceType)
		if !ok || !spec.Name.IsExported() {
			return
		}
		for _, m := range iface.Methods.List {
			if fn, ok := m.Type.(*ast.FuncType); ok {
				visit(spec.Name.Name+"."+m.Names[0].Name, fn, nil)
			}
		}
	})
}

// types calls visit for each type that f declares.
func (f sourceFile) types(visit func(*ast.TypeSpec)) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			visit(spec)
		}
		return true
	})
}

// typeName is the last name of a type, without pointer or package.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
