package imports

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
)

// clocks are the functions of package time that look at a clock or wait for one.
var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

// impurities returns where the files of one package look at the clock, run something when they are imported, or have
// state: a variable of the package that is not set where it is declared, or that is changed later.
func impurities(set *token.FileSet, files []*ast.File) []string {
	var found []string
	report := func(at token.Pos, format string, args ...any) {
		found = append(found, fmt.Sprintf("%s: %s", set.Position(at), fmt.Sprintf(format, args...)))
	}
	variables := packageVariables(files, report)
	for _, file := range files {
		clock := importedAs(file, "time")
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					report(n.Pos(), "a pure package has an init function")
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Obj == nil && x.Name == clock && slices.Contains(clocks, n.Sel.Name) {
					report(n.Pos(), "a pure package uses time.%s: time comes in as an argument", n.Sel.Name)
				}
			case *ast.AssignStmt:
				for _, left := range n.Lhs {
					reportChange(left, n.Tok == token.DEFINE, variables, report)
				}
			case *ast.IncDecStmt:
				reportChange(n.X, false, variables, report)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					reportChange(n.X, false, variables, report)
				}
			}
			return true
		})
	}
	return found
}

// packageVariables returns the names of the package's variables, and reports those without a value.
func packageVariables(files []*ast.File, report func(token.Pos, string, ...any)) map[string]*ast.ValueSpec {
	variables := map[string]*ast.ValueSpec{}
	for _, file := range files {
		for _, d := range file.Decls {
			declaration, ok := d.(*ast.GenDecl)
			if !ok || declaration.Tok != token.VAR {
				continue
			}
			for _, s := range declaration.Specs {
				spec := s.(*ast.ValueSpec)
				for _, name := range spec.Names {
					variables[name.Name] = spec
					if len(spec.Values) == 0 {
						report(name.Pos(), "a pure package has the variable %s, which is set later", name.Name)
					}
				}
			}
		}
	}
	return variables
}

// reportChange reports an expression that is written to, or whose address is taken, if it is a variable of the package
// or a part of one. Declarations in a function make a variable of their own.
func reportChange(e ast.Expr, declares bool, variables map[string]*ast.ValueSpec, report func(token.Pos, string, ...any)) {
	name := root(e)
	if name == nil || declares {
		return
	}
	spec, isVariable := variables[name.Name]
	// The parser resolves names within a file: a local variable of the same name is another object.
	if !isVariable || name.Obj != nil && name.Obj.Decl != spec {
		return
	}
	report(e.Pos(), "a pure package changes its variable %s", name.Name)
}

// root returns the variable that an expression is, or is a part of: x of x, x.f, x[i] and *x.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// importedAs returns the name under which a file knows an imported package; "" if it does not.
func importedAs(file *ast.File, path string) string {
	for _, spec := range file.Imports {
		if spec.Path.Value != `"`+path+`"` {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path
	}
	return ""
}
