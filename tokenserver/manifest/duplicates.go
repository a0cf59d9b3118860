package manifest

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// duplicates returns the keys that an object gives twice, with all below it or only its own.
func duplicates(n *node, below bool) []finding {
	var found []finding
	var walk func(n *node, path string)
	walk = func(n *node, path string) {
		switch n.Kind {
		case yaml.SequenceNode:
			for i, c := range n.Content {
				walk(c, fmt.Sprintf("%s[%d]", path, i))
			}
		case yaml.MappingNode:
			seen := make(map[string]int, len(n.Content)/2)
			for i := 0; i+1 < len(n.Content); i += 2 {
				key := n.Content[i]
				name := jsonKey(key)
				at := join(path, name)
				if first, twice := seen[name]; twice {
					found = append(found, finding{path: at, message: fmt.Sprintf("is given twice: also on line %d", first), node: key})
				}
				seen[name] = key.Line
				if below {
					walk(n.Content[i+1], at)
				}
			}
		}
	}
	walk(n, "")
	return found
}

func join(path, key string) string {
	switch {
	case path == "":
		return key
	case strings.ContainsAny(key, ".[]"):
		return path + "[" + key + "]"
	}
	return path + "." + key
}

// jsonKey is the key as it is in JSON, where all keys are texts: 1 and "1" are one key, and so are yes and "true".
func jsonKey(key *node) string {
	if key.Kind != yaml.ScalarNode || key.Style != 0 || key.Tag == "!!str" && !oldBool(key.Value) {
		return key.Value
	}
	text, err := sigsyaml.YAMLToJSON([]byte(key.Value + ": 0"))
	if err != nil {
		return key.Value
	}
	name, found := strings.CutPrefix(string(text), `{"`)
	if !found {
		return key.Value
	}
	return strings.TrimSuffix(name, `":0}`)
}

// oldBool says whether YAML 1.1, and with it kubectl, takes the text for true or false.
func oldBool(text string) bool {
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off":
		return true
	}
	return false
}
