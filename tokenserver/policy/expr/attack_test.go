package expr

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// nested puts one loop into the other: each is over an element made from the variable of the one around it.
func nested(levels int, element string) string {
	text, closing := "[1].all(a0,", ")"
	for i := 1; i < levels; i++ {
		text += fmt.Sprintf("["+element+"].all(a%[2]d,", fmt.Sprintf("a%d", i-1), i)
		closing += ")"
	}
	return text + "true" + closing
}

// attacks took minutes and gigabytes to compile, or might.
func attacks() map[string]string {
	r := strings.Repeat
	return map[string]string{
		"types double with each loop, 16":    nested(16, "{%[1]s:%[1]s}"),
		"types double with each loop, 20":    nested(20, "{%[1]s:%[1]s}"),
		"the same within four loops":         nested(4, "{%[1]s:%[1]s}"),
		"lists in lists in loops":            nested(40, "[%[1]s,%[1]s]"),
		"maps with literal keys in loops":    nested(40, "{'a':%[1]s,'b':%[1]s}"),
		"optional elements in loops":         nested(20, "?optional.of(%[1]s)"),
		"a key that may be missing":          nested(4, "{?%[1]s:optional.of(%[1]s)}"),
		"map makes maps":                     "[1]" + r(".map(a,{a:a})", 20) + " == []",
		"map makes lists":                    "[1]" + r(".map(a,[a,a])", 40) + " == []",
		"transformMapEntry makes maps":       "{1:1}" + r(".transformMapEntry(k,v,{v:v})", 20) + " == {}",
		"transformMap makes maps":            "{1:1}" + r(".transformMap(k,v,{k:v})", 20) + " == {}",
		"optMap copies its target":           "optional.of(1)" + r(".optMap(a,a)", 60) + ".hasValue()",
		"optFlatMap copies its target":       "optional.of(1)" + r(".optFlatMap(a,optional.of(a))", 30) + ".hasValue()",
		"sortBy copies its target":           "[1]" + r(".sortBy(a,a)", 60) + " == [1]",
		"bind":                               r("cel.bind(a,[a,a],", 20) + "true" + r(")", 20),
		"empty lists, whose type is open":    nested(40, "[],[%[1]s]"),
		"maps of maps":                       r("{'a':", 100) + "1" + r("}", 100) + " == {}",
		"lists of lists":                     r("[", 200) + r("]", 200) + " == []",
		"a comparison of lists of lists":     r("[", 60) + r("]", 60) + " == " + r("[", 60) + r("]", 60),
		"parentheses":                        r("(", 510) + "true" + r(")", 510),
		"open parentheses":                   r("(", 1024),
		"open brackets":                      r("[", 1024),
		"open braces":                        r("{", 1024),
		"open maps":                          r("{1:", 340),
		"open calls":                         r("a(", 512),
		"open messages":                      r("a{", 512),
		"open members":                       r("a.b(", 256),
		"questions":                          r("a?", 512),
		"conditionals":                       r("true?true:", 100) + "true",
		"conditionals in the middle":         r("true?", 200) + "true" + r(":true", 160),
		"not":                                r("!", 1020) + "true",
		"minus":                              r("-", 1000) + "1 == 1",
		"alternating signs":                  r("!-", 500) + "1",
		"members":                            "a" + r(".a", 511),
		"indices":                            "a" + r("[0]", 341),
		"sums":                               "1" + r("+1", 505) + " == 1",
		"comparisons":                        "true" + r("==true", 170),
		"or":                                 "true" + r("||true", 170),
		"and, or":                            "a" + r("&&a||a", 170),
		"quotes":                             r("'", 1024),
		"escapes":                            "'" + r(`\`, 1000) + "'",
		"a repeated regular expression":      "'a'.matches('" + r("(a{1000})", 100) + "')",
		"one in another":                     "'a'.matches('((a{31}){31}b{1000})')",
		"classes in a regular expression":    "'a'.matches('" + r(`[\\pL\\pN]`, 60) + "')",
		"folded classes":                     `'a'.matches('(?i)` + r(`[\\pL\\PL]`, 25) + "')",
		"nested groups":                      "'a'.matches('" + r("(", 120) + r(")*", 120) + "')",
		"a regular expression from a caller": "subject.uid.matches(subject.username)",
		"find all with a broken one":         "'a'.findAll('(') == []",
		"a message":                          "google.protobuf.Struct{fields: {'a': google.protobuf.Value{}}} == 1",
		"format":                             `"%.1000000f".format([1.0]) == ''`,
		"a list of a million":                "lists.range(1000000).size() == 1",
		"a zone by name":                     "request.time.getFullYear('America/New_York') == 2026",
		"a zone by name from a caller":       "request.time.getHours(subject.username) == 1",
		"a zone of one character":            "request.time.getHours('+') == 1",
		"an empty zone":                      "request.time.getHours('') == 1",
		"replace of nothing":                 "subject.uid.replace('', subject.username) == ''",
		"replace of nothing by a long text":  "subject.uid.replace('', '" + r("x", 900) + "') == ''",
		"a long separator":                   "subject.groups.join('" + r("x", 900) + "') == ''",
		"a search for a caller's text":       "subject.uid.indexOf(subject.username) == 1",
		"lists doubled":                      "{'a':subject.groups}" + r(".exists(k,v,{'a':v+v+v+v}", 4) + r(")", 4),
		"lists that share":                   "[1].map(a,[a,a,a,a]).map(a,[a,a,a,a]) == [1].map(a,[a,a,a,a]).map(a,[a,a,a,a])",
		"a comparison of all there is":       "subject == subject",
		"the accumulator":                    "[1,2].map(x, __result__ == []) == [true]",
		"a quantity":                         "quantity('1E1000000000').isInteger()",
		"a plain text as a map's key":        "{subject.uid: 1} == {}",
		"no argument where there must be":    "subject.uid.matches() || subject.uid.replace() == '' || subject.uid.split() == []",
		"numbers where texts must be":        "subject.uid.matches(1) || subject.uid.replace(1, 2) == '' || subject.uid.split(1) == []",
	}
}

func TestAttacksOnTheCompiler(t *testing.T) {
	if _, err := Compile("true"); err != nil { // makes the environment
		t.Fatal(err)
	}
	harmless := map[string]bool{"not": true, "minus": true, "or": true, "folded classes": true}
	for name, text := range attacks() {
		t.Run(name, func(t *testing.T) {
			best, least := time.Hour, uint64(1)<<40
			for range 3 { // the best: others use the machine too
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				began := time.Now()
				_, err := Compile(text)
				best = min(best, time.Since(began))
				runtime.ReadMemStats(&after)
				least = min(least, after.TotalAlloc-before.TotalAlloc)
				if err == nil && !harmless[name] {
					t.Error("compiled")
				}
				if best > time.Second {
					break // the next try would take as long
				}
			}
			if best > time.Second {
				t.Errorf("took %v", best)
			}
			if least > 32<<20 {
				t.Errorf("allocated %d MiB", least>>20)
			}
		})
	}
}

func TestWhatPoliciesNeedCompiles(t *testing.T) {
	for name, text := range map[string]string{
		"one of the groups":         "subject.groups.exists(g, g.startsWith('corp:') && g.endsWith('-' + resource.name.split('/')[0]))",
		"all of an extra":           "'ref' in subject.extra && subject.extra['ref'].all(r, r.matches('^refs/(heads|tags)/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'))",
		"a key that may be missing": "subject.extra[?'ref'].orValue([]).exists(r, r == 'main') || subject.?provider.hasValue()",
		"a table":                   "action in {'ci': ['pull', 'push'], 'dev': ['pull']}[subject.serviceAccount]",
		"a table of texts":          "{'a': 'b'}[subject.username] == resource.name.replace('/', '-')",
		"office hours":              "request.time.getHours('+01:00') >= 8 && request.time.getDayOfWeek() in [1, 2, 3, 4, 5]",
		"a validity":                "request.time < timestamp('2027-01-01T00:00:00Z') + duration('24h')",
		"networks":                  "request.ip != '' && ['10.0.0.0/8', 'fd00::/8'].exists(c, cidr(c).containsIP(ip(request.ip)))",
		"groups within":             "sets.intersects(subject.groups, ['a', 'b']) && subject.groups.map(g, g.lowerAscii()).filter(g, g != 'a').size() > 1",
		"a longer list":             "subject.groups + ['a'] == ['a'] || (subject.groups + [action]).exists(g, g == 'a')",
		"a claim":                   "has(request.claims.amr) && 'mfa' in request.claims.amr && request.claims.amr == ['mfa'] && type(request.claims.amr) == list",
		"three loops":               "subject.groups.exists(g, ['a', 'b'].exists(p, ['x', 'y'].exists(s, g == p + s)))",
		"a URL":                     "isURL(audience) && url(audience).getHost() == 'example.com'",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Compile(text); err != nil {
				t.Error(err)
			}
		})
	}
}
