package manifest

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// maxExpansion is how many bytes aliases may add to a document.
const maxExpansion = 8 << 20

// expansion refuses a document that aliases would make much larger than it is, and one that holds itself.
func expansion(n *node) *syntaxError {
	if !hasAlias(n) {
		return nil
	}
	e := expander{sizes: map[*node]int{}}
	e.size(n)
	switch {
	case e.cyclic:
		return &syntaxError{message: "must not hold an alias (*) of what it stands in"}
	case e.added > maxExpansion:
		return &syntaxError{message: fmt.Sprintf("must not grow by more than %d MiB through aliases (*)", maxExpansion>>20)}
	}
	return nil
}

func hasAlias(n *node) bool {
	return n.Kind == yaml.AliasNode || slices.ContainsFunc(n.Content, hasAlias)
}

// expander computes how large nodes are when aliases are replaced by what they stand for.
type expander struct {
	sizes  map[*node]int
	added  int
	cyclic bool
}

// nodeSize is what a node counts for beside its text.
const nodeSize = 16

func (e *expander) size(n *node) int {
	if n.Kind == yaml.AliasNode {
		size := e.sizeOnce(n.Alias)
		e.added = min(e.added+size, 2*maxExpansion)
		return size
	}
	return e.sizeOnce(n)
}

func (e *expander) sizeOnce(n *node) int {
	if size, known := e.sizes[n]; known {
		e.cyclic = e.cyclic || size < 0
		return max(size, 0)
	}
	e.sizes[n] = -1
	size := nodeSize + len(n.Value)
	for _, c := range n.Content {
		size = min(size+e.size(c), 2*maxExpansion)
	}
	e.sizes[n] = size
	return size
}
