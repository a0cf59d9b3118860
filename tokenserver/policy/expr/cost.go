package expr

import (
	"slices"

	"github.com/google/cel-go/checker"
)

// Bounds in CEL's cost units. Kubernetes reckons that ten million of them take a second; here the dearest calls take
// 0.2 to 0.4 µs a unit, and a test compares them.
const (
	// MaxStaticCost is the most that an expression may cost by estimate, with callers of the sizes below.
	MaxStaticCost = 100_000
	// MaxCost is the most that one evaluation may cost.
	MaxCost = 10_000
	// BaseCost is what an evaluation costs beside its steps, so that many of "true" are not free.
	BaseCost = 5
)

// Sizes that the estimate assumes. They bound nothing at run time, where MaxCost does.
const (
	assumedText   = 256
	assumedGroups = 64
	assumedKeys   = 32
	assumedValues = 32
	assumedOther  = 32
)

// sizes tells the estimator how big the variables are, which it would otherwise take to be without bound.
type sizes struct{}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	path := node.Path()
	switch {
	case slices.Equal(path, []string{varSubject, "groups"}):
		return atMost(assumedGroups)
	case slices.Equal(path, []string{varSubject, "extra"}):
		return atMost(assumedKeys)
	case slices.Equal(path, []string{varSubject, "extra", "@values"}):
		return atMost(assumedValues)
	}
	switch node.Type().String() {
	case "string", "bytes":
		return atMost(assumedText)
	default:
		return atMost(assumedOther)
	}
}

// EstimateCallCost implements checker.CostEstimator; functions cost what the libraries say.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

func atMost(n uint64) *checker.SizeEstimate { return &checker.SizeEstimate{Min: 0, Max: n} }
