package expr

import (
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"k8s.io/apiserver/pkg/cel/library"
)

// prices says what calls cost when they are made. The libraries' own prices are for estimates that must not change in
// Kubernetes; here a unit must stand for a time, as a budget of them is what keeps requests short.
type prices struct {
	library  library.CostEstimator
	patterns map[string]uint64
}

// CallCost implements interpreter.ActualCostEstimator. A call costs at least what its texts and its result are long.
func (p *prices) CallCost(function, overload string, args []ref.Val, result ref.Val) *uint64 {
	if uses(function) == pattern {
		return p.match(args)
	}
	least := 1 + length(result)/10
	for _, arg := range args {
		least += length(arg) / 10
	}
	switch function {
	case "_==_", "_!=_":
		least += min(deep(args[0]), deep(args[1]))
	case "@in":
		least += deep(args[1])
	case "split", "join":
		least += deep(args[0]) + deep(result)
	case "indexOf", "lastIndexOf":
		least += deep(args[0]) + length(args[0])*length(args[1])/20
	case "timestamp", "duration", "string", "int", "uint", "double", "cidr", "ip", "url", "isIP", "isCIDR", "isURL",
		"isCanonical", "ip.isCanonical", "containsIP", "containsCIDR":
		least += 2
	}
	if cost := p.library.CallCost(function, overload, args, result); cost != nil && *cost > least {
		return cost
	}
	return &least
}

// match charges the steps of an automaton, states times characters.
func (p *prices) match(args []ref.Val) *uint64 {
	cost := uint64(MaxCost)
	if len(args) == 2 {
		if text, ok := args[1].(types.String); ok && p.patterns[string(text)] > 0 {
			cost = 2 + (length(args[0])+1)*p.patterns[string(text)]/32
		}
	}
	return &cost
}

func length(v ref.Val) uint64 {
	if text, ok := v.(types.String); ok {
		return uint64(len(text))
	}
	return 0
}

// deep returns how much there is to compare in a value: elements of a list, or tens of bytes.
func deep(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v)) / 10
	case traits.Lister:
		if size, ok := v.Size().(types.Int); ok && size > 0 {
			return uint64(size)
		}
	}
	return 0
}
