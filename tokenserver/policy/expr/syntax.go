package expr

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// Bounds on what is handed to the macros and the type checker, neither of which has bounds: types can double with each
// loop, and 20 loops in 400 characters took a minute and 18 GB.
const (
	maxNodes = 512
	maxDepth = 32
	maxLoops = 4
	// maxShort is the longest literal in bytes where lengths multiply.
	maxShort = 64
)

var (
	errTooBig   = fmt.Errorf("must have at most %d operators, names and literals", maxNodes)
	errTooDeep  = fmt.Errorf("must nest at most %d deep", maxDepth)
	errLoops    = fmt.Errorf("must nest at most %d loops (all, exists, filter, map)", maxLoops)
	errKey      = errors.New("the keys of a map must be literals")
	errNotKnown = errors.New("must not make objects or use names that begin with __")
)

// shape checks an expression whose macros have not been expanded.
type shape struct {
	nodes int
	// patterns are the regular expressions with their sizes.
	patterns map[string]uint64
}

func (s *shape) check(e ast.Expr, depth, loops int) error {
	s.nodes++
	switch {
	case s.nodes > maxNodes:
		return errTooBig
	case depth > maxDepth:
		return errTooDeep
	}
	switch e.Kind() {
	case ast.LiteralKind:
		return nil
	case ast.IdentKind:
		if strings.HasPrefix(e.AsIdent(), "__") {
			return errNotKnown
		}
		return nil
	case ast.SelectKind:
		return s.check(e.AsSelect().Operand(), depth+1, loops)
	case ast.ListKind:
		return s.all(e.AsList().Elements(), depth+1, loops)
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			if entry.AsMapEntry().Key().Kind() != ast.LiteralKind {
				return errKey
			}
			if err := s.all([]ast.Expr{entry.AsMapEntry().Key(), entry.AsMapEntry().Value()}, depth+1, loops); err != nil {
				return err
			}
		}
		return nil
	case ast.CallKind:
		return s.call(e.AsCall(), depth, loops)
	default:
		return errNotKnown
	}
}

func (s *shape) all(list []ast.Expr, depth, loops int) error {
	for _, e := range list {
		if err := s.check(e, depth, loops); err != nil {
			return err
		}
	}
	return nil
}

// call counts a loop over what another loop yields as nested too: each could make its elements longer.
func (s *shape) call(c ast.CallExpr, depth, loops int) error {
	name, args := c.FunctionName(), c.Args()
	var err error
	switch uses(name) {
	case free:
	case loop:
		if loops++; loops > maxLoops {
			return errLoops
		}
	case short:
		err = checkShort(name, args)
	case pattern:
		err = s.pattern(name, args)
	case clock:
		err = checkZone(name, args)
	default:
		return fmt.Errorf("%s is not a function of policies", clip(name))
	}
	if err != nil {
		return err
	}
	if c.IsMemberFunction() {
		if err := s.check(c.Target(), depth+1, loops); err != nil {
			return err
		}
	}
	return s.all(args, depth+1, loops)
}

func (s *shape) pattern(name string, args []ast.Expr) error {
	if len(args) == 0 {
		return nil // the type checker says it better
	}
	text, ok := literal(args[len(args)-1])
	if !ok {
		return fmt.Errorf("the regular expression of %s must be a literal", name)
	}
	size, err := patternSize(text)
	if err != nil {
		return fmt.Errorf("the regular expression of %s %w", name, err)
	}
	if s.patterns == nil {
		s.patterns = map[string]uint64{}
	}
	s.patterns[text] = size
	return nil
}

func checkShort(name string, args []ast.Expr) error {
	for _, arg := range args[:min(len(args), 2)] {
		if arg.Kind() == ast.LiteralKind {
			if text, ok := literal(arg); !ok || len(text) <= maxShort {
				continue
			}
		} else if arg != args[0] && name != "replace" {
			continue // a number
		}
		return fmt.Errorf("the arguments of %s must be literals of at most %d bytes", name, maxShort)
	}
	return nil
}

// checkZone refuses zones by name: to load one costs as much as a whole expression, and depends on the files that
// happen to be there.
func checkZone(name string, args []ast.Expr) error {
	if len(args) == 0 {
		return nil
	}
	zone, ok := literal(args[0])
	if len(zone) != len("+01:00") || zone[0] != '+' && zone[0] != '-' || zone[3] != ':' {
		ok = false
	}
	if !ok {
		return fmt.Errorf("the time zone of %s must be a literal offset such as '+01:00'", name)
	}
	return nil
}

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}

func clip(name string) string { return name[:min(len(name), maxShort)] }
