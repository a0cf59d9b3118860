package imports

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// check returns what in the tree breaks the architecture, in no order. Tests are not looked at: they may import what
// they like.
func check(tree fs.FS) ([]string, error) {
	packages, set, err := parse(tree)
	if err != nil {
		return nil, err
	}
	var found []string
	for folder, files := range packages {
		l, known := layerOf(folder)
		if !known {
			found = append(found, fmt.Sprintf("%s: the package is in no layer", folder))
			continue
		}
		for _, file := range files {
			found = append(found, wrongImports(set, l, file)...)
		}
		if l.pure {
			found = append(found, impurities(set, files)...)
		}
	}
	return found, nil
}

// parse reads the Go files of the tree, by folder. Positions are "<path>:<line>:<column>".
func parse(tree fs.FS) (map[string][]*ast.File, *token.FileSet, error) {
	packages := map[string][]*ast.File{}
	set := token.NewFileSet()
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skipped(tree, name)
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
		folder := strings.TrimPrefix(path.Dir(name), ".")
		packages[folder] = append(packages[folder], file)
		return nil
	})
	return packages, set, err
}

// skipped passes over what is not part of the module: built things, test data, hidden folders, modules of their own.
func skipped(tree fs.FS, name string) error {
	base := path.Base(name)
	if name == "." {
		return nil
	}
	if name == "bin" || name == "dist" || base == "testdata" || strings.HasPrefix(base, ".") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(tree, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// wrongImports returns the imports of a file that its layer may not have.
func wrongImports(set *token.FileSet, l layer, file *ast.File) []string {
	var found []string
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if why := wrongImport(l, imported); why != "" {
			found = append(found, fmt.Sprintf("%s: %s", set.Position(spec.Pos()), why))
		}
	}
	return found
}

// wrongImport says why a package of the layer must not import the path, or nothing.
func wrongImport(l layer, imported string) string {
	if imported == module || strings.HasPrefix(imported, module+"/") {
		folder := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
		target, known := layerOf(folder)
		if !known {
			return fmt.Sprintf("imports %s, which is in no layer", imported)
		}
		if !slices.Contains(l.mayImport, target.name) {
			return fmt.Sprintf("a package of layer %q imports %s of layer %q", l.name, folder, target.name)
		}
		return ""
	}
	if l.pure && within(imported, world) {
		return fmt.Sprintf("a pure package imports %s", imported)
	}
	standard := !strings.Contains(strings.Split(imported, "/")[0], ".")
	if l.foreign != nil && !standard && !within(imported, l.foreign) {
		return fmt.Sprintf("a package of layer %q imports %s", l.name, imported)
	}
	return ""
}
