package enforce

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// placeholder stands in a pattern for every {name}. No path that is looked up has it: it is not UTF-8.
const placeholder = "\xff"

// paths finds the most specific path. It is immutable.
type paths struct {
	literal map[string]*Path
	// patterns are those with {name} or *, the most specific first.
	patterns []pattern
}

// pattern is one with {name} or *, without the names.
type pattern struct {
	segments []string
	// literal is how many bytes there are before the first placeholder.
	literal int
	rest    bool
	path    *Path
}

// compilePaths says what is wrong with all of them.
func compilePaths(list []Path) (*paths, error) {
	if len(list) == 0 || len(list) > maxPaths {
		return nil, fmt.Errorf("config.Paths must be 1 to %d, and are %d", maxPaths, len(list))
	}
	all := &paths{literal: map[string]*Path{}}
	seen := map[string]bool{}
	var problems []error
	for n := range list {
		p := list[n].clone()
		err := p.check()
		meaning := meaningOf(p.Pattern)
		if err == nil && seen[meaning] {
			err = fmt.Errorf("another path has the pattern %q, or one that matches the same", p.Pattern)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("config.Paths[%d]: %w", n, err))
			continue
		}
		seen[meaning] = true
		all.add(meaning, p)
	}
	slices.SortFunc(all.patterns, compare)
	return all, errors.Join(problems...)
}

func (all *paths) add(meaning string, p *Path) {
	trimmed, rest := strings.CutSuffix(meaning, "/*")
	if !rest && !strings.Contains(meaning, placeholder) {
		all.literal[meaning] = p
		return
	}
	literal, _, _ := strings.Cut(trimmed, placeholder)
	all.patterns = append(all.patterns, pattern{segments: strings.Split(trimmed, "/"), literal: len(literal), rest: rest, path: p})
}

// compare is negative if a is the more specific one; the order is that of the server's own resources.
func compare(a, b pattern) int {
	rests := 0
	if a.rest != b.rest {
		rests = 1
		if b.rest {
			rests = -1
		}
	}
	return cmp.Or(
		cmp.Compare(b.literal, a.literal), cmp.Compare(len(b.segments), len(a.segments)), rests,
		strings.Compare(strings.Join(a.segments, "/"), strings.Join(b.segments, "/")))
}

// match returns the path of what target returned, or nil.
func (all *paths) match(target string) *Path {
	if p := all.literal[target]; p != nil {
		return p
	}
	if len(all.patterns) == 0 {
		return nil
	}
	var space [16]string
	segments := space[:0]
	for s := range strings.SplitSeq(target, "/") {
		segments = append(segments, s)
	}
	for n := range all.patterns {
		if all.patterns[n].fits(segments) {
			return all.patterns[n].path
		}
	}
	return nil
}

// ambiguous says whether a path that is open, or not configured, would be a protected one if it had a slash at its end, or had it not.
// Many handlers take the two for one. Where the protected pattern is also one of the path as it is, the more specific one was meant.
func (all *paths) ambiguous(target string, open *Path) bool {
	if open != nil && !open.Public || target == "/" {
		return false
	}
	twin, found := strings.CutSuffix(target, "/")
	if !found {
		twin += "/"
	}
	p := all.match(twin)
	return p != nil && !p.Public && !p.fits(target)
}

// fits says whether a path is one of the pattern's, whichever other one is more specific.
func (p *Path) fits(target string) bool {
	only := &paths{literal: map[string]*Path{}}
	only.add(meaningOf(p.Pattern), p)
	return only.match(target) != nil
}

func (p *pattern) fits(segments []string) bool {
	if len(segments) < len(p.segments) || len(segments) > len(p.segments) && !p.rest {
		return false
	}
	for n, want := range p.segments {
		if want == placeholder && segments[n] == "" || want != placeholder && want != segments[n] {
			return false
		}
	}
	return true
}

// meaningOf is the pattern without the names of its placeholders: two that mean the same match the same.
func meaningOf(text string) string {
	segments := strings.Split(text, "/")
	for n, s := range segments {
		if isPlaceholder(s) {
			segments[n] = placeholder
		}
	}
	return strings.Join(segments, "/")
}

func isPlaceholder(segment string) bool {
	return len(segment) > 2 && segment[0] == '{' && segment[len(segment)-1] == '}'
}

// patternProblem says what is wrong with a pattern; nothing if all is well. What it refuses could never match a path that is looked
// at, or would mean something else than it seems to.
func patternProblem(text string) string {
	trimmed, _ := strings.CutSuffix(text, "/*")
	switch {
	case !strings.HasPrefix(text, "/"):
		return "must begin with /"
	case targetProblem(text) != "":
		return "must be a path that is looked at: " + targetProblem(text)
	case strings.ContainsAny(text, "?#%"):
		return "must have no query, fragment or encoded character"
	case strings.Contains(trimmed, "*"):
		return "may have * only as its last segment"
	}
	for s := range strings.SplitSeq(trimmed, "/") {
		if strings.ContainsAny(s, "{}") && (!isPlaceholder(s) || strings.ContainsAny(s[1:len(s)-1], "{}")) {
			return "may have { and } only around a name that is a whole segment"
		}
	}
	return ""
}
