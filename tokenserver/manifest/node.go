package manifest

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// node is a value of a document with its place.
type node = yaml.Node

// maxMerges bounds how many merges (<<) are followed for one field: merges of merges of merges double with each line.
const maxMerges = 64

// target is the node itself, or what an alias stands for.
func target(n *node) *node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// entry returns key and value of a mapping, or nil.
func entry(n *node, key string) (k, v *node) {
	merges := maxMerges
	return entryWithin(n, key, &merges)
}

// entryWithin is entry, with as many merges as may still be followed.
func entryWithin(n *node, key string, merges *int) (k, v *node) {
	n = target(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i], n.Content[i+1]
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !isMerge(n.Content[i]) {
			continue
		}
		merged := []*node{n.Content[i+1]}
		if list := target(n.Content[i+1]); list.Kind == yaml.SequenceNode {
			merged = list.Content
		}
		for _, m := range merged {
			if *merges == 0 {
				return nil, nil
			}
			*merges--
			if k, v := entryWithin(m, key, merges); k != nil {
				return k, v
			}
		}
	}
	return nil, nil
}

func isMerge(key *node) bool { return key.Tag == "!!merge" }

// child is the value of a field; nil if there is none.
func child(n *node, key string) *node {
	_, v := entry(n, key)
	return target(v)
}

// scalar is the text of a value; empty if it is not one.
func scalar(n *node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// lineAt is the line of a field, counted from 1 in its document, or of the nearest parent that is there.
func lineAt(n *node, path string) int {
	_, line := follow(n, path)
	return line
}

// descend returns the value of a field, or nil.
func descend(n *node, path string) *node {
	found, _ := follow(n, path)
	return found
}

// follow goes to a field. It returns nil and the line of the nearest parent if the field is not there.
func follow(n *node, path string) (*node, int) {
	line := n.Line
	for _, step := range steps(path) {
		n = target(n)
		if n == nil {
			return nil, line
		}
		if n.Kind == yaml.SequenceNode {
			index, err := strconv.Atoi(step)
			if err != nil || index < 0 || index >= len(n.Content) {
				return nil, line
			}
			n = n.Content[index]
			line = n.Line
			continue
		}
		k, v := entry(n, step)
		if k == nil {
			return nil, line
		}
		n, line = v, k.Line
	}
	return n, line
}

// steps cuts a path such as spec.rules[0].names[1] or metadata.labels[example.com/key] at its dots and brackets.
func steps(path string) []string {
	var found []string
	for path != "" {
		path = strings.TrimPrefix(path, ".")
		if rest, ok := strings.CutPrefix(path, "["); ok {
			step, after, _ := strings.Cut(rest, "]")
			found, path = append(found, step), after
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		if end > 0 {
			found = append(found, path[:end])
		}
		path = path[end:]
	}
	return found
}
