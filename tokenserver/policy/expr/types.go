package expr

import (
	"errors"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

var (
	errElement = errors.New("a list must hold texts, numbers and the like, a map these or lists of them")
	errAdd     = errors.New("a list may be added to a literal list only")
	errEqual   = errors.New("only texts, numbers and the like, and lists of them, can be compared")
)

// checkTypes refuses values that refer to one value many times over: [a, a, a] of [b, b, b] and so on is made at the
// price of a few steps, and one comparison, which is one step too, walks through all of it.
func checkTypes(checked *ast.AST) error {
	var err error
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if err == nil {
			err = checkType(checked, e)
		}
	}))
	return err
}

func checkType(checked *ast.AST, e ast.Expr) error {
	switch e.Kind() {
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			if !scalar(checked.GetType(element.ID())) {
				return errElement
			}
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			if t := checked.GetType(entry.AsMapEntry().Value().ID()); !scalar(t) && !listOf(t, scalar) {
				return errElement
			}
		}
	case ast.CallKind:
		return checkCall(checked, e)
	}
	return nil
}

func checkCall(checked *ast.AST, e ast.Expr) error {
	call := e.AsCall()
	switch call.FunctionName() {
	case operators.Add:
		if checked.GetType(e.ID()).Kind() == types.ListKind && call.Args()[0].Kind() != ast.ListKind &&
			call.Args()[1].Kind() != ast.ListKind {
			return errAdd
		}
	case operators.Equals, operators.NotEquals, "sets.contains", "sets.equivalent", "sets.intersects":
		for _, arg := range call.Args() {
			if !comparableType(checked.GetType(arg.ID())) {
				return errEqual
			}
		}
	case operators.In:
		if !flat(checked.GetType(call.Args()[0].ID())) {
			return errEqual
		}
	}
	return nil
}

// scalar says that values of the type hold no others.
func scalar(t *types.Type) bool {
	switch t.Kind() {
	case types.BoolKind, types.DoubleKind, types.DurationKind, types.IntKind, types.NullTypeKind, types.StringKind,
		types.TimestampKind, types.TypeKind, types.UintKind:
		return true
	}
	switch t.TypeName() {
	case "net.IP", "net.CIDR", "kubernetes.URL":
		return true
	}
	return false
}

// flat also takes what is not known until it is there: that came with the request, and holds nothing twice.
func flat(t *types.Type) bool {
	return scalar(t) || t.Kind() == types.DynKind || t.Kind() == types.TypeParamKind
}

func comparableType(t *types.Type) bool { return flat(t) || listOf(t, flat) }

func listOf(t *types.Type, of func(*types.Type) bool) bool {
	return t.Kind() == types.ListKind && len(t.Parameters()) == 1 && of(t.Parameters()[0])
}
