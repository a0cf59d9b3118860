package cmd

import (
	"regexp"
	"slices"
)

// thumbprintLikeAFlag is a thumbprint (RFC 7638, base64url of 32 bytes) that begins with a hyphen. Keys of ours do not, but
// such keys can have been brought here.
var thumbprintLikeAFlag = regexp.MustCompile(`^-[A-Za-z0-9_-]{42}$`)

// withKeyIDs puts thumbprints that look like flags to the end, behind what says that no flags follow.
func withKeyIDs(args []string) []string {
	if slices.Contains(args, "--") {
		return args
	}
	var others, ids []string
	for _, arg := range args {
		if thumbprintLikeAFlag.MatchString(arg) {
			ids = append(ids, arg)
		} else {
			others = append(others, arg)
		}
	}
	if len(ids) == 0 {
		return args
	}
	return append(append(others, "--"), ids...)
}
