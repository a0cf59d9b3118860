package name

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// reference says what a pattern matches, by another way: it puts each combination of values in and makes a regular
// expression of the result. It takes the pattern's text to be well formed.
func reference(g Grammar, pattern, text string, v *Values, deny bool) bool {
	placeholders := regexp.MustCompile(`\$\{[^}]*\}`)
	variables := placeholders.FindAllString(pattern, -1)
	slices.Sort(variables)
	for _, filling := range fillings(g, slices.Compact(variables), v, deny) {
		if filling == nil {
			return true
		}
		if regexp.MustCompile(expression(g, pattern, filling)).MatchString(text) {
			return true
		}
	}
	return false
}

// wildValue is no text, so that no value is it.
const wildValue = "\xff"

// fillings returns a value for each variable in each way there is; a nil filling matches everything.
func fillings(g Grammar, variables []string, v *Values, deny bool) []map[string]string {
	all := []map[string]string{{}}
	for _, x := range variables {
		given := given(x, v)
		good := slices.DeleteFunc(slices.Clone(given), func(value string) bool { return !good(g, x, value) })
		if deny && (len(given) == 0 || len(good) < len(given)) {
			if g == NATS {
				return []map[string]string{nil}
			}
			good = []string{wildValue}
		}
		var more []map[string]string
		for _, filling := range all {
			for _, value := range good {
				next := map[string]string{x: value}
				for k, w := range filling {
					next[k] = w
				}
				more = append(more, next)
			}
		}
		all = more
	}
	return all
}

func given(variable string, v *Values) []string {
	switch variable {
	case "${subject.username}":
		return []string{v.Username}
	case "${subject.namespace}":
		return []string{v.Namespace}
	case "${subject.serviceAccount}":
		return []string{v.ServiceAccount}
	}
	return v.Extra[strings.TrimSuffix(strings.TrimPrefix(variable, "${subject.extra."), "}")]
}

func good(g Grammar, variable, value string) bool {
	if !strings.HasPrefix(variable, "${subject.extra.") && strings.Contains(value, "/") {
		return false
	}
	if g == NATS {
		return value != "" && !strings.ContainsAny(value, ".*>") && strings.IndexFunc(value, unicode.IsSpace) < 0
	}
	return value != "" && (g == Audience || !slices.Contains(strings.Split(value, "/"), ""))
}

func expression(g Grammar, pattern string, filling map[string]string) string {
	token := regexp.MustCompile(`\$\{[^}]*\}|\*\*|.`)
	one, deepBefore := "[^/]", `(?:[^/]+/)*`
	if g == NATS {
		one = `[^.]`
	}
	if g == Audience {
		one = "."
	}
	// Each segment is written with its separator behind it, so that "**" can be none.
	var out, segment strings.Builder
	wild, alone := false, ""
	flush := func(separator string) {
		switch {
		case wild && g == Audience:
			out.WriteString(".+")
		case wild || alone == "**":
			out.WriteString(deepBefore)
		case alone == "*" && g != Audience:
			out.WriteString(one + "+" + separator)
		case alone == ">" && g == NATS:
			out.WriteString(`(?:[^.]+\.)+`)
		default:
			out.WriteString(segment.String() + separator)
		}
		segment.Reset()
		wild, alone = false, ""
	}
	separator := map[Grammar]string{NATS: `\.`, Audience: ""}[g]
	if g == Path || g == Repository {
		separator = "/"
	}
	count := 0
	for _, t := range token.FindAllString(pattern, -1) {
		switch {
		case g != Audience && regexp.QuoteMeta(t) == separator:
			flush(separator)
			count = 0
			continue
		case strings.HasPrefix(t, "${"):
			wild = wild || filling[t] == wildValue
			segment.WriteString(regexp.QuoteMeta(filling[t]))
		case t == "*":
			segment.WriteString(one + "*")
		default:
			segment.WriteString(regexp.QuoteMeta(t))
		}
		if count++; count == 1 {
			alone = t
		} else {
			alone = ""
		}
	}
	flush(separator)
	return `(?s)\A` + out.String() + `\z`
}

// referenceText is the text as expression wants it: with a separator behind the last segment.
func referenceText(g Grammar, text string) string {
	switch g {
	case Audience:
		return text
	case NATS:
		return text + "."
	default:
		return text + "/"
	}
}

func TestMatchAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := rapid.SampledFrom([]Grammar{Path, Repository, Audience, NATS}).Draw(t, "grammar")
		separator := map[Grammar]string{NATS: ".", Audience: "/"}[g]
		if separator == "" {
			separator = "/"
		}
		piece := rapid.SampledFrom([]string{
			"a", "b", "ab", "*", "*", "**", "**", "a*", "*b", "a*b", "${subject.username}", "${subject.extra.k}", "${subject.extra.l}",
			"a${subject.extra.k}", "${subject.extra.k}*", "${subject.namespace}", "${subject.extra.k}${subject.extra.l}", ">",
		})
		pattern := strings.Join(rapid.SliceOfN(piece, 1, 6).Draw(t, "pattern"), separator)
		p, err := Parse(g, pattern)
		if err != nil {
			return
		}
		value := rapid.SampledFrom([]string{"a", "b", "ab", "aa", "", "a/b", "a/b/a", "/", "a.b", "*", "**", "a//b"})
		v := &Values{
			Username: value.Draw(t, "username"), Namespace: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "namespace"),
			Extra: map[string][]string{
				"k": rapid.SliceOfN(value, 0, 3).Draw(t, "k"), "l": rapid.SliceOfN(value, 0, 2).Draw(t, "l"),
			},
		}
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "aab", "ba", "c", "a/b"}), 1, 7).Draw(t, "name"), separator)
		deny := rapid.Bool().Draw(t, "deny")
		segments, ok := Split(g, text, nil)
		if !ok {
			t.Fatalf("%q does not split", text)
		}
		got, want := p.Match(text, segments, v, deny), reference(g, pattern, referenceText(g, text), v, deny)
		if got != want {
			t.Fatalf("%q against %q with %+v, deny %v: got %v, want %v", pattern, text, v, deny, got, want)
		}
	})
}
