package expr

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// dear are the calls that take the longest for what they cost.
func dear() map[string]string {
	loop := func(body string) string { return "subject.groups.all(g, " + body + ")" }
	list := func(element string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
	}
	var keys []string
	for i := range 100 {
		keys = append(keys, fmt.Sprintf("%d:g", i))
	}
	return map[string]string{
		"nothing":                      "true",
		"a name":                       "action == ''",
		"steps":                        "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, a+b+c > 0)))",
		"an empty loop":                loop("true"),
		"a regular expression":         "subject.uid.matches('^([a-z]+[-._]?)*$')",
		"one with many states":         "subject.uid.matches('^(a?){80}(a|aa|aaa)*b$')",
		"one that captures":            "subject.uid.find('(a*)(a*)(a*)(a*)(a*)b') == ''",
		"one with classes":             `subject.uid.matches('^[\\pL\\pN]*[\\pL\\pM]*[\\pN]$')`,
		"one in a loop":                loop("g.matches('^[a-z]+:[a-z0-9]+$') || true"),
		"case":                         "subject.uid.lowerAscii() != ''",
		"case in a loop":               loop("g.upperAscii() != ''"),
		"trim":                         "subject.uid.trim() != ''",
		"substring":                    "subject.uid.substring(1) != ''",
		"a character":                  loop("subject.username.charAt(1) != ''"),
		"replace":                      "subject.uid.replace('a', '" + strings.Repeat("b", 64) + "') != ''",
		"replace of nothing":           "subject.uid.replace('', '" + strings.Repeat("b", 64) + "') != ''",
		"replace in a loop":            loop("g.replace('o', 'oo') != ''"),
		"split":                        "subject.uid.split('').size() > 0",
		"split in a loop":              loop("g.split(':').size() > 0"),
		"join":                         "subject.groups.join('" + strings.Repeat("b", 64) + "') != ''",
		"search":                       "subject.uid.indexOf('" + strings.Repeat("a", 63) + "b') < 0",
		"search from the end":          "subject.uid.lastIndexOf('b" + strings.Repeat("a", 63) + "') < 0",
		"contains":                     "!subject.uid.contains('" + strings.Repeat("a", 300) + "b')",
		"contains a caller's text":     "!subject.uid.contains(subject.uid + 'b')",
		"a long prefix":                "subject.uid.startsWith(subject.uid)",
		"sizes":                        loop("size(subject.username) > 1"),
		"additions":                    list("subject.uid+subject.uid", 4) + ".size() == 4",
		"additions in a loop":          loop("g + g + g != ''"),
		"texts doubled":                "['aaaaaaaaaa']" + strings.Repeat(".map(a, a+a+a+a+a+a)", 3) + ".size() == 1",
		"compared texts":               "subject.uid + 'a' == subject.uid + 'a'",
		"compared lists":               "subject.groups == subject.groups",
		"compared lists in a loop":     loop("subject.extra['k'] == subject.extra['k']"),
		"compared long texts in lists": list("subject.uid", 40) + " == " + list("subject.uid", 40),
		"membership":                   loop("!('x' in subject.extra['k'])"),
		"membership among literals":    loop("!(g in ['a','b','c'])"),
		"sets":                         "sets.equivalent(subject.extra['k'], subject.extra['k'])",
		"sets that intersect":          "!sets.intersects(subject.extra['k'], ['a','b','c','d'])",
		"a long list in a loop":        loop(list("g", 100) + ".size() == 100"),
		"a long map in a loop":         loop("{" + strings.Join(keys, ",") + "}.size() == 100"),
		"mapped":                       "subject.groups.map(g, g + 'a').size() > 0",
		"filtered":                     "subject.groups.filter(g, g != 'a').size() > 0",
		"transformed":                  "subject.groups.transformList(i, g, g + string(i)).size() > 0",
		"one of many":                  "!subject.groups.exists_one(g, g != 'a')",
		"numbers":                      loop("int('1234567') + int(double('1.5e3')) > 0"),
		"a broken number":              loop("int(g) == 1 || true"),
		"a broken long number":         "double(subject.uid) == 1.0 || true",
		"a text of a number":           loop("string(1.0e300 / 3.0) != ''"),
		"a time":                       loop("timestamp('2026-01-01T00:00:00Z') < request.time"),
		"a broken time":                loop("timestamp(g) < request.time || true"),
		"a text of a time":             loop("string(request.time) != ''"),
		"a duration":                   loop("duration('1h1m1s') < duration('2h')"),
		"a clock":                      loop("request.time.getDayOfYear() > 0"),
		"a clock elsewhere":            loop("request.time.getHours('+01:00') >= 0"),
		"an address":                   loop("ip('2001:db8::1').family() == 6"),
		"a broken address":             loop("ip(g).family() == 6 || true"),
		"is an address":                loop("!isIP(g)"),
		"a range":                      loop("cidr('10.0.0.0/8').containsIP(request.ip)"),
		"a range in a range":           loop("cidr('10.0.0.0/8').containsCIDR('10.0.0.0/24')"),
		"a broken range":               loop("cidr(g).containsIP(request.ip) || true"),
		"an address as it should be":   loop("ip.isCanonical('2001:db8::1')"),
		"a masked range":               loop("cidr('10.1.1.0/8').masked().prefixLength() == 8"),
		"a URL":                        loop("url('https://a.example.com:80/b?c=d').getHostname() != ''"),
		"a broken URL":                 loop("url(g).getHost() == '' || true"),
		"is a URL":                     loop("isURL('https://' + g) || true"),
		"a long URL":                   "isURL('https://' + subject.uid)",
		"a missing key":                loop("subject.extra[g] == [] || true"),
		"an optional key":              loop("subject.extra[?g].orValue([]).size() == 0"),
		"a missing claim":              loop("request.claims[g] == 1 || true"),
		"a type":                       loop("type(g) == string"),
		"a conditional":                loop("g == 'a' ? false : true"),
		"extra":                        loop("subject.extra.all(k, k != '')"),
		"claims":                       loop("request.claims.all(k, k != '')"),
	}
}

// rich is a caller with as much as a caller may bring.
func rich() Facts {
	f := facts()
	f.Caller.UID = strings.Repeat("a", 4096)
	f.Caller.Username = strings.Repeat("u", 253)
	f.Caller.Groups = nil
	for i := range 300 {
		f.Caller.Groups = append(f.Caller.Groups, fmt.Sprintf("corp:developers-%d", i))
	}
	f.Caller.Extra = map[string][]string{"k": f.Caller.Groups[:50]}
	return f
}

// measure returns what an evaluation takes and costs.
func measure(t *testing.T, text string, in *Input) (best time.Duration, cost uint64) {
	t.Helper()
	p, err := Compile(text)
	if err != nil {
		t.Fatal(err)
	}
	best = time.Hour
	for range 7 { // the best: others use the machine too
		start := time.Now()
		_, cost, _ = p.Evaluate(in)
		best = min(best, time.Since(start))
	}
	return best, cost
}

// TestUnitsStandForTime compares all with plain additions, which take 0.1 to 0.2 µs a unit: a machine may be slow. Format
// took 160 times as much, a time zone by name 40 times.
func TestUnitsStandForTime(t *testing.T) {
	const limit = 25
	in := NewInput(rich())
	took, units := measure(t, dear()["steps"], in)
	plain := took / time.Duration(units)
	t.Logf("plain: %v a unit", plain)
	for name, text := range dear() {
		t.Run(name, func(t *testing.T) {
			took, units := measure(t, text, in)
			unit := took / time.Duration(units)
			t.Logf("%v a unit: %v, %d units", unit, took, units)
			if unit > limit*plain {
				t.Errorf("%v a unit, plain additions take %v", unit, plain)
			}
		})
	}
}
