package scope

import "slices"

// Within returns what of the scopes asked for lies within those that somebody has. All actions of a resource ("*") stand for
// those that it has.
func Within(asked, has []Scope) []Scope {
	var within []Scope
	for _, s := range asked {
		at := slices.IndexFunc(has, func(h Scope) bool { return h.Type == s.Type && h.Name == s.Name })
		if at < 0 {
			continue
		}
		var actions []string
		for _, action := range has[at].Actions {
			if slices.Contains(s.Actions, action) || slices.Contains(s.Actions, "*") {
				actions = append(actions, action)
			}
		}
		if len(actions) > 0 {
			within = append(within, Scope{Type: s.Type, Name: s.Name, Actions: actions})
		}
	}
	return within
}
