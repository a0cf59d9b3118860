package provider

import (
	"slices"
	"strconv"
	"strings"
)

// maxGroups is how many groups one user may have: every request looks for policies of each.
const maxGroups = 256

// parseGroups reads lines of "group: user user" and returns the prefixed groups of each user, sorted. A group may be on
// several lines. Lines that cannot be used are problems, and the others are used.
func parseGroups(file []byte, prefix string) (map[string][]string, []Problem) {
	groups := map[string][]string{}
	if problems := tooLarge("groups", file); problems != nil {
		return groups, problems
	}
	bad := faults{file: "groups"}
	for number, line := range lines(file) {
		group, members, ok := strings.Cut(line, ":")
		if !ok {
			bad.add(number, "expected group: user user")
			continue
		}
		if why := groupFault(prefix, group, members); why != "" {
			bad.add(number, why)
			continue
		}
		full := false
		for user := range strings.FieldsSeq(members) {
			if slices.Contains(groups[user], prefix+group) {
				continue
			}
			if len(groups[user]) >= maxGroups {
				full = true
				continue
			}
			groups[user] = append(groups[user], prefix+group)
		}
		if full {
			bad.add(number, "a user has more than "+strconv.Itoa(maxGroups)+" groups")
		}
	}
	for _, of := range groups {
		slices.Sort(of)
	}
	return groups, bad.problems()
}

// groupFault says why a line cannot be used, or nothing. User names have no colon, so that one among the members means
// that the group's name was meant to have it.
func groupFault(prefix, group, members string) string {
	if strings.HasPrefix(group+":", reserved) {
		return nameFault("", reserved)
	}
	if why := nameFault(prefix, group); why != "" {
		return why
	}
	if strings.Contains(members, ":") {
		return "expected one colon, after the group"
	}
	return ""
}
