package name

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func values() *Values {
	return &Values{
		Username: "alice", Namespace: "team-a", ServiceAccount: "ci",
		Extra: map[string][]string{
			"team":            {"x", "y"},
			"path":            {"org/repo"},
			"star":            {"*"},
			"deep":            {"**"},
			"self":            {"${subject.username}"},
			"regex":           {".*"},
			"up":              {".."},
			"empty":           {""},
			"none":            {},
			"mixed":           {"", "x"},
			"slashes":         {"/a", "a/", "a//b", "/"},
			"example.com/key": {"v"},
			"dot":             {"a.b"},
			"space":           {"a b"},
		},
	}
}

// userIs returns the values of a caller with another name.
func userIs(name string) *Values {
	v := values()
	v.Username = name
	return v
}

func TestMatch(t *testing.T) {
	cases := map[string]struct {
		grammar       Grammar
		pattern, name string
		values        *Values
		want          bool
	}{
		"the same":                                       {Repository, "a/b", "a/b", nil, true},
		"a pattern is anchored at its end":               {Repository, "a/b", "a/bc", nil, false},
		"a pattern is anchored at its start":             {Repository, "a/b", "xa/b", nil, false},
		"a pattern is not a prefix":                      {Repository, "a", "a/b", nil, false},
		"case matters":                                   {Repository, "Team/a", "team/a", nil, false},
		"a dot is a dot":                                 {Repository, "a.b", "axb", nil, false},
		"a star matches within a segment":                {Repository, "a/app-*", "a/app-1", nil, true},
		"a star matches nothing too":                     {Repository, "a/app-*", "a/app-", nil, true},
		"a star does not match a slash":                  {Repository, "a/*", "a/b/c", nil, false},
		"a star in text does not match a slash":          {Repository, "a/b*", "a/b/c", nil, false},
		"a segment of a star is not left out":            {Repository, "a/*/c", "a/c", nil, false},
		"stars go back":                                  {Repository, "*ab*", "aabaab", nil, true},
		"a star at the start":                            {Repository, "*-ci", "x-ci-ci", nil, true},
		"a star between":                                 {Repository, "a*c", "ab", nil, false},
		"two stars match no segment":                     {Repository, "public/**", "public", nil, true},
		"two stars match one segment":                    {Repository, "public/**", "public/a", nil, true},
		"two stars match many segments":                  {Repository, "public/**", "public/a/b/c", nil, true},
		"two stars respect the segment before":           {Repository, "public/**", "publicity/a", nil, false},
		"two stars at the start":                         {Repository, "**/a", "a", nil, true},
		"two stars at the start, deep":                   {Repository, "**/a", "x/y/a", nil, true},
		"two stars at the start keep segments whole":     {Repository, "**/a", "x/ya", nil, false},
		"two stars at both ends":                         {Repository, "**/a/**", "x/a/y", nil, true},
		"two stars at both ends need the middle":         {Repository, "**/a/**", "x/y", nil, false},
		"two stars at both ends match the middle":        {Repository, "**/a/**", "a", nil, true},
		"two stars between":                              {Repository, "a/**/b", "a/b", nil, true},
		"two stars between, deep":                        {Repository, "a/**/b", "a/b/x/b", nil, true},
		"two stars between miss":                         {Repository, "a/**/b", "a/b/x", nil, false},
		"two stars and a star":                           {Repository, "a/**/*", "a", nil, false},
		"two stars and a star match one":                 {Repository, "a/**/*", "a/b", nil, true},
		"host and port":                                  {Repository, "h:5000/**", "h:5000/a", nil, true},
		"host and another port":                          {Repository, "h:5000/**", "h:5001/a", nil, false},
		"an audience":                                    {Audience, "https://a/b", "https://a/b", nil, true},
		"a star of an audience crosses slashes":          {Audience, "https://a/*", "https://a/b/c", nil, true},
		"an audience is anchored":                        {Audience, "https://a", "https://a.evil", nil, false},
		"a token":                                        {NATS, "a.*.c", "a.b.c", nil, true},
		"a star is one token":                            {NATS, "a.*", "a.b.c", nil, false},
		"the rest is one token or more":                  {NATS, "a.>", "a", nil, false},
		"the rest is one token":                          {NATS, "a.>", "a.b", nil, true},
		"the rest is many tokens":                        {NATS, "a.>", "a.b.c", nil, true},
		"a user name":                                    {Repository, "users/${subject.username}/**", "users/alice/x", nil, true},
		"another's user name":                            {Repository, "users/${subject.username}/**", "users/bob/x", nil, false},
		"a user name in text":                            {Repository, "u-${subject.username}-*/x", "u-alice-1/x", nil, true},
		"namespace and ServiceAccount":                   {Repository, "${subject.namespace}/${subject.serviceAccount}", "team-a/ci", nil, true},
		"each value is tried":                            {Repository, "${subject.extra.team}/**", "y/a", nil, true},
		"another's value":                                {Repository, "${subject.extra.team}/**", "z/a", nil, false},
		"a value is the same wherever it stands":         {Repository, "${subject.extra.team}/${subject.extra.team}", "x/y", nil, false},
		"a value twice":                                  {Repository, "${subject.extra.team}/${subject.extra.team}", "y/y", nil, true},
		"a slash in extra makes segments":                {Repository, "gh/${subject.extra.path}/**", "gh/org/repo/x", nil, true},
		"a slash in extra within text":                   {Repository, "p-${subject.extra.path}-*/x", "p-org/repo-1/x", nil, true},
		"half of a path":                                 {Repository, "gh/${subject.extra.path}/**", "gh/org/x", nil, false},
		"a key with a slash":                             {Repository, "${subject.extra.example.com/key}/x", "v/x", nil, true},
		"a star in a value is a character":               {Path, "u/${subject.extra.star}/x", "u/a/x", nil, false},
		"a star in a value matches a star":               {Path, "u/${subject.extra.star}/x", "u/*/x", nil, true},
		"two stars in a value are characters":            {Path, "${subject.extra.deep}", "a/b", nil, false},
		"a placeholder in a value is text":               {Path, "${subject.extra.self}/x", "alice/x", nil, false},
		"a regular expression in a value is text":        {Path, "${subject.extra.regex}/x", "a/x", nil, false},
		"dots in a value go nowhere":                     {Path, "a/${subject.extra.up}/b", "b", nil, false},
		"a user named like a pattern":                    {Path, "users/${subject.username}/x", "users/alice/x", userIs("*"), false},
		"a user name with a slash":                       {Repository, "users/${subject.username}/**", "users/a/b/x", userIs("a/b"), false},
		"a user without a name":                          {Repository, "users/${subject.username}/**", "users/x", userIs(""), false},
		"a user without a name, in text":                 {Repository, "users/u${subject.username}/**", "users/u/x", userIs(""), false},
		"an empty value":                                 {Repository, "t${subject.extra.empty}/x", "t/x", nil, false},
		"no value":                                       {Repository, "t${subject.extra.none}/x", "t/x", nil, false},
		"no key":                                         {Repository, "t${subject.extra.nope}/x", "t/x", nil, false},
		"an empty value among others":                    {Repository, "t${subject.extra.mixed}/x", "t/x", nil, false},
		"a value among empty ones":                       {Repository, "t${subject.extra.mixed}/x", "tx/x", nil, true},
		"values that make empty segments":                {Repository, "${subject.extra.slashes}/x", "a/x", nil, false},
		"slashes at a value's ends do not merge":         {Repository, "b${subject.extra.slashes}c", "b/ac", nil, false},
		"a value in an audience":                         {Audience, "https://${subject.namespace}.example.com", "https://team-a.example.com", nil, true},
		"a value in a subject":                           {NATS, "user.${subject.username}.>", "user.alice.x", nil, true},
		"a value with a dot in a subject":                {NATS, "user.${subject.extra.dot}.>", "user.a.b.x", nil, false},
		"a value with a space in a subject":              {NATS, "user.${subject.extra.space}", "user.a b", nil, false},
		"a value with a star in a subject":               {NATS, "user.${subject.extra.star}", "user.x", nil, false},
		"a value with a slash in a subject":              {NATS, "user.${subject.extra.path}", "user.org/repo", nil, true},
		"a value with a slash is one token":              {NATS, "user.${subject.extra.path}", "user.org.repo", nil, false},
		"placeholders that share text":                   {Repository, "${subject.extra.team}${subject.username}", "xalice", nil, true},
		"a star beside a placeholder":                    {Repository, "*${subject.username}*", "is-alice-there", nil, true},
		"a star beside a placeholder stays in a segment": {Repository, "*${subject.username}", "x/alice", nil, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.values == nil {
				c.values = values()
			}
			if got := match(t, c.grammar, c.pattern, c.name, c.values, false); got != c.want {
				t.Errorf("%q against %q: got %v", c.pattern, c.name, got)
			}
			if deny := match(t, c.grammar, c.pattern, c.name, c.values, true); c.want && !deny {
				t.Errorf("%q allows %q but does not deny it", c.pattern, c.name)
			}
		})
	}
}

func match(t *testing.T, g Grammar, pattern, text string, v *Values, deny bool) bool {
	t.Helper()
	p, err := Parse(g, pattern)
	if err != nil {
		t.Fatal(err)
	}
	segments, ok := Split(g, text, nil)
	return ok && p.Match(text, segments, v, deny)
}

func TestDenyFailsClosed(t *testing.T) {
	cases := map[string]struct {
		grammar       Grammar
		pattern, name string
		values        *Values
		want          bool
	}{
		"an absent value is any segments":          {Repository, "a/${subject.extra.nope}/z", "a/b/c/z", nil, true},
		"an absent value is no segment":            {Repository, "a/${subject.extra.nope}/z", "a/z", nil, true},
		"an absent value in text":                  {Repository, "a/u-${subject.extra.nope}", "a/b/c", nil, true},
		"an absent value keeps the rest":           {Repository, "a/${subject.extra.nope}/z", "a/b/c", nil, false},
		"an empty value":                           {Repository, "a/${subject.extra.empty}/z", "a/b/z", nil, true},
		"no value":                                 {Repository, "a/${subject.extra.none}/z", "a/b/z", nil, true},
		"one empty value among others":             {Repository, "a/${subject.extra.mixed}/z", "a/b/z", nil, true},
		"values that make empty segments":          {Repository, "a/${subject.extra.slashes}/z", "a/b/z", nil, true},
		"a user name with a slash":                 {Repository, "users/${subject.username}/**", "users/x", userIs("a/b"), true},
		"an anonymous user without namespace":      {Repository, "${subject.namespace}/**", "b", &Values{Username: "system:anonymous"}, true},
		"a good value denies only itself":          {Repository, "${subject.namespace}/**", "team-b/x", nil, false},
		"a good value beside an absent one":        {Repository, "${subject.namespace}/${subject.extra.nope}", "team-b/x", nil, false},
		"an absent value in an audience":           {Audience, "https://${subject.extra.nope}/x", "anything", nil, true},
		"a dot in a subject denies all":            {NATS, "user.${subject.extra.dot}.x", "other.y", nil, true},
		"an absent value in a subject denies all":  {NATS, "user.${subject.extra.nope}.x", "other", nil, true},
		"a star in a subject denies all":           {NATS, "user.${subject.extra.star}.x", "other", nil, true},
		"a good value in a subject denies itself":  {NATS, "user.${subject.username}.x", "user.bob.x", nil, false},
		"two stars in a value deny only that text": {Path, "${subject.extra.deep}", "a/b", nil, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.values == nil {
				c.values = values()
			}
			if got := match(t, c.grammar, c.pattern, c.name, c.values, true); got != c.want {
				t.Errorf("%q against %q: got %v", c.pattern, c.name, got)
			}
		})
	}
}

func TestManyWildSegmentsAndALongValue(t *testing.T) {
	path := strings.Repeat("a/", 19) + "a"
	v := &Values{Extra: map[string][]string{"p": {path}}}
	pattern := strings.Repeat("${subject.extra.n}/", 12) + "${subject.extra.p}"
	if !match(t, Repository, pattern, path, v, true) {
		t.Error("the deny was lost")
	}
}

func TestTooManyCombinations(t *testing.T) {
	// Each value occurs in the name, so that none can be left out beforehand.
	text := "0123456789abcdefghij/0123456789abcdefghij/0123456789abcdefghij/x"
	var list []string
	for i := range 20 {
		list = append(list, "0123456789abcdefghij"[i:i+1])
	}
	v := &Values{Extra: map[string][]string{"a": list, "b": list, "c": list}}
	pattern := "*${subject.extra.a}/*${subject.extra.b}/*${subject.extra.c}/x"
	if match(t, Repository, pattern, text, v, false) {
		t.Error("an allow beyond the bound must not match")
	}
	if !match(t, Repository, pattern, text, v, true) {
		t.Error("a deny beyond the bound must match")
	}
}

func TestManyValuesAreFine(t *testing.T) {
	v := &Values{Extra: map[string][]string{}}
	for i := range 5000 {
		v.Extra["team"] = append(v.Extra["team"], fmt.Sprintf("team-%d", i))
	}
	for _, deny := range []bool{false, true} {
		if !match(t, Repository, "${subject.extra.team}/**", "team-4999/x", v, deny) {
			t.Error("the last of many values must match")
		}
		if match(t, Repository, "${subject.extra.team}/**", "team-x/x", v, deny) {
			t.Error("no value must match")
		}
	}
}

func TestWorkIsBounded(t *testing.T) {
	start := time.Now()
	text := strings.Repeat("a/", 31) + "b"
	for range 1000 {
		match(t, Repository, "**/a/**/a/**/a/**/c", text, values(), false)
		match(t, Repository, "*a*a*a*a", strings.Repeat("a", 255)+"b", values(), false)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	p, err := Parse(Repository, "gh/${subject.extra.path}/u-${subject.username}/**")
	if err != nil {
		t.Fatal(err)
	}
	text, v := "gh/org/repo/u-alice/x", values()
	segments, _ := Split(Repository, text, nil)
	if n := testing.AllocsPerRun(100, func() { p.Match(text, segments, v, false) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
