package expr

import (
	"errors"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/interpreter"
	"k8s.io/apiserver/pkg/cel/library"
)

// Program is a compiled expression. It is immutable and safe for concurrent use.
type Program struct {
	program      cel.Program
	usesAction   bool
	usesResource bool
}

// MaxLength is the longest expression in bytes; the schema allows 1024 characters.
const MaxLength = 4096

// Compile compiles an expression. It fails if the expression is not CEL, does not yield a bool, uses what policies may
// not, or may cost more than MaxStaticCost. It takes milliseconds at most, whatever the text is.
func Compile(text string) (*Program, error) {
	envs, err := celEnvironments()
	if err != nil {
		return nil, err
	}
	if len(text) > MaxLength {
		return nil, fmt.Errorf("must be at most %d bytes", MaxLength)
	}
	ast, patterns, err := check(envs, text)
	if err != nil {
		return nil, err
	}
	cost, err := envs.full.EstimateCost(ast, &library.CostEstimator{SizeEstimator: sizes{}}, checker.PresenceTestHasCost(false))
	if err != nil {
		return nil, fmt.Errorf("estimating the cost: %w", err)
	}
	if cost.Max > MaxStaticCost {
		return nil, fmt.Errorf("must cost at most %d by estimate, not %d: loop over less, or compare without regular expressions",
			MaxStaticCost, cost.Max)
	}
	program, err := envs.full.Program(ast, cel.CostLimit(MaxCost), cel.CostTracking(&prices{patterns: patterns}))
	if err != nil {
		return nil, fmt.Errorf("must be CEL: %w", err)
	}
	p := &Program{program: program}
	for _, reference := range ast.NativeRep().ReferenceMap() {
		p.usesAction = p.usesAction || reference.Name == varAction
		p.usesResource = p.usesResource || reference.Name == varResource
	}
	return p, nil
}

// check parses and checks an expression in the order that keeps each step bounded: what the text holds before macros
// are expanded, and that before types are inferred.
func check(envs environments, text string) (*cel.Ast, map[string]uint64, error) {
	parsed, issues := envs.plain.Parse(text)
	if err := issues.Err(); err != nil {
		return nil, nil, fmt.Errorf("must be CEL: %w", err)
	}
	var s shape
	if err := s.check(parsed.NativeRep().Expr(), 1, 0); err != nil {
		return nil, nil, err
	}
	ast, issues := envs.full.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, nil, fmt.Errorf("must be CEL: %w", err)
	}
	if !ast.OutputType().IsExactType(cel.BoolType) {
		return nil, nil, fmt.Errorf("must yield bool, not %s", ast.OutputType())
	}
	return ast, s.patterns, checkTypes(ast.NativeRep())
}

// UsesAction says whether the answer may differ from action to action.
func (p *Program) UsesAction() bool { return p.usesAction }

// UsesResource says whether the answer may differ from resource to resource.
func (p *Program) UsesResource() bool { return p.usesResource }

// ErrCost says that an evaluation was given up because it cost more than MaxCost.
var ErrCost = errors.New("expression cost too much")

var errNotBool = errors.New("expression did not yield bool")

// Evaluate returns what the expression yields and what that cost, also when it fails. It fails if the expression does
// (a key that is not there) or, with ErrCost, if it costs more than MaxCost.
func (p *Program) Evaluate(in *Input) (result bool, cost uint64, err error) {
	value, details, err := p.program.Eval(in)
	cost = MaxCost
	if details != nil {
		if actual := details.ActualCost(); actual != nil {
			cost = *actual + BaseCost
		}
	}
	if cancelled := (interpreter.EvalCancelledError{}); errors.As(err, &cancelled) {
		return false, cost, fmt.Errorf("%w: %w", ErrCost, err)
	}
	if err != nil {
		return false, cost, fmt.Errorf("evaluating expression: %w", err)
	}
	result, ok := value.Value().(bool)
	if !ok {
		return false, cost, errNotBool
	}
	return result, cost, nil
}
