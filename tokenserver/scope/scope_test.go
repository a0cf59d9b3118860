package scope

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("a", MaxNameLength)
	cases := map[string]struct {
		reason string
		params []string
		want   []Scope
	}{
		"one scope": {
			params: []string{"repository:team-a/app:pull"},
			want:   []Scope{{"repository", "team-a/app", []string{"pull"}}},
		},
		"actions are sorted and unique": {
			params: []string{"repository:a:push,pull,push,delete"},
			want:   []Scope{{"repository", "a", []string{"delete", "pull", "push"}}},
		},
		"repeated params": {
			reason: "docker, podman, oras send one param for each scope",
			params: []string{"repository:b:pull", "repository:a:pull"},
			want:   []Scope{{"repository", "a", []string{"pull"}}, {"repository", "b", []string{"pull"}}},
		},
		"one param with spaces": {
			reason: "crane and the conformance suite send them so",
			params: []string{"repository:b:pull  repository:a:pull "},
			want:   []Scope{{"repository", "a", []string{"pull"}}, {"repository", "b", []string{"pull"}}},
		},
		"other white space separates too": {
			params: []string{"\trepository:b:pull\nrepository:a:pull\r\n"},
			want:   []Scope{{"repository", "a", []string{"pull"}}, {"repository", "b", []string{"pull"}}},
		},
		"the same resource twice is merged": {
			params: []string{"repository:a:pull", "repository:a:push repository:a:pull"},
			want:   []Scope{{"repository", "a", []string{"pull", "push"}}},
		},
		"a name with a host and port": {
			params: []string{"repository:localhost:5000/team/app:pull,push"},
			want:   []Scope{{"repository", "localhost:5000/team/app", []string{"pull", "push"}}},
		},
		"a name with many colons": {
			params: []string{"repository:a:b:c:pull"},
			want:   []Scope{{"repository", "a:b:c", []string{"pull"}}},
		},
		"a class is dropped": {
			params: []string{"repository(plugin):a/b:pull"},
			want:   []Scope{{"repository", "a/b", []string{"pull"}}},
		},
		"a class merges with none": {
			params: []string{"repository(plugin):a:pull", "repository:a:push"},
			want:   []Scope{{"repository", "a", []string{"pull", "push"}}},
		},
		"the catalog": {
			params: []string{"registry:catalog:*"},
			want:   []Scope{{"registry", "catalog", []string{"*"}}},
		},
		"all actions of a repository": {
			reason: "containers/image asks so to delete",
			params: []string{"repository:a:*"},
			want:   []Scope{{"repository", "a", []string{"*"}}},
		},
		"a cross-repository mount": {
			params: []string{"repository:dst:pull,push", "repository:src:pull"},
			want:   []Scope{{"repository", "dst", []string{"pull", "push"}}, {"repository", "src", []string{"pull"}}},
		},
		"scopes joined by a comma": {
			reason: "the specification's example of POST",
			params: []string{"repository:samalba/my-app:pull,push,repository:host:5000/b:pull"},
			want: []Scope{
				{"repository", "host:5000/b", []string{"pull"}}, {"repository", "samalba/my-app", []string{"pull", "push"}},
			},
		},
		"a joined piece that can mean several things": {
			reason: "a host and port, or a scope without actions: nothing is granted by guessing",
			params: []string{"repository:a:pull,host:5000"},
		},
		"unknown types and actions are kept": {
			reason: "policy decides what they are worth",
			params: []string{"artifact:x:scanner-pull,Foo.bar"},
			want:   []Scope{{"artifact", "x", []string{"Foo.bar", "scanner-pull"}}},
		},
		"odd actions are dropped from good ones": {
			params: []string{"repository:a:pull,,**,-x,p$q,push"},
			want:   []Scope{{"repository", "a", []string{"pull", "push"}}},
		},
		"the longest name":           {params: []string{"a:" + long + ":b"}, want: []Scope{{"a", long, []string{"b"}}}},
		"a name that is too long":    {params: []string{"a:" + long + "a:b"}},
		"64 segments":                {params: []string{"a:" + strings.Repeat("a/", 63) + "a:b"}, want: []Scope{{"a", strings.Repeat("a/", 63) + "a", []string{"b"}}}},
		"65 segments":                {params: []string{"a:" + strings.Repeat("a/", 64) + "a:b"}},
		"a million dots":             {params: []string{"repository:" + strings.Repeat(".", 1_000_000) + ":pull"}},
		"nothing":                    {},
		"an empty param":             {reason: "containerd sends scope= for an empty challenge", params: []string{"", " ", "\x00"}},
		"an empty name":              {params: []string{"repository::pull"}},
		"no actions":                 {params: []string{"repository:a:"}},
		"only commas":                {params: []string{"repository:a:,,,"}},
		"no type":                    {params: []string{":a:pull"}},
		"one colon":                  {params: []string{"repository:a"}},
		"no colon":                   {params: []string{"repository", "openid", "offline_access"}},
		"only colons":                {params: []string{":", "::", ":::", "::::"}},
		"a type in upper case":       {params: []string{"Repository:a:pull"}},
		"a type with a dash":         {params: []string{"repo-sitory:a:pull"}},
		"an unclosed class":          {params: []string{"repository(plugin:a:pull"}},
		"an empty class":             {params: []string{"repository():a:pull"}},
		"only a class":               {params: []string{"(plugin):a:pull"}},
		"text after a class":         {params: []string{"repository(plugin)x:a:pull"}},
		"two classes":                {params: []string{"repository(a)(b):a:pull"}},
		"a control character":        {params: []string{"repository:a\x01b:pull"}},
		"a character beyond ASCII":   {params: []string{"repository:te\u0430m-a/app:pull"}},
		"a quote":                    {params: []string{`repository:a","actions:pull`}},
		"a backslash":                {params: []string{`repository:a\b:pull`}},
		"a comma at the name's end":  {params: []string{"repository:a,:pull"}},
		"broken UTF-8":               {params: []string{"repository:a\xff:pull"}},
		"an action that is too long": {params: []string{"repository:a:" + strings.Repeat("p", 65)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(c.params)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s\n%s", c.reason, diff)
			}
		})
	}
}

func TestTooMany(t *testing.T) {
	scopes := func(n int) []string {
		var params []string
		for i := range n {
			params = append(params, fmt.Sprintf("repository:r%d:pull", i))
		}
		return params
	}
	cases := map[string]struct {
		params []string
		want   error
	}{
		"64 are fine":                      {scopes(MaxScopes), nil},
		"65 are too many":                  {scopes(MaxScopes + 1), ErrTooMany},
		"1,000 in one param are too many":  {[]string{strings.Join(scopes(1000), " ")}, ErrTooMany},
		"1,000 times the same is one":      {slices.Repeat(scopes(1), 1000), nil},
		"odd ones do not count":            {append(scopes(MaxScopes), "junk", "repository::pull"), nil},
		"65 joined by commas are too many": {[]string{strings.Join(scopes(MaxScopes+1), ",")}, ErrTooMany},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(c.params); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestManyActionsAreBounded(t *testing.T) {
	var actions []string
	for i := range 10_000 {
		actions = append(actions, fmt.Sprintf("a%d", i))
	}
	got, err := Parse([]string{"repository:a:" + strings.Join(actions, ",")})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got[0].Actions); n != MaxActions {
		t.Errorf("got %d actions", n)
	}
}

func TestJoin(t *testing.T) {
	scopes := []Scope{{"registry", "catalog", []string{"*"}}, {"repository", "h:5000/a", []string{"pull", "push"}}}
	if got, want := Join(scopes), "registry:catalog:* repository:h:5000/a:pull,push"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Join(nil); got != "" {
		t.Errorf("got %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"repository:a:pull", "repository(plugin):h:5000/a/b:pull,push registry:catalog:*", "a:b:c,d:e:f", "::", "a:b,c:d:e",
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		scopes, err := Parse([]string{a, b})
		if err != nil {
			return
		}
		again, err := Parse([]string{Join(scopes)})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(scopes, again); diff != "" {
			t.Errorf("what is written does not read the same:\n%s", diff)
		}
		swapped, err := Parse([]string{b, a})
		if err != nil {
			t.Fatal(err)
		}
		// More actions than one scope may have are cut where they come.
		if len(a)+len(b) < 2*MaxActions {
			if diff := cmp.Diff(scopes, swapped); diff != "" {
				t.Errorf("the order matters:\n%s", diff)
			}
		}
		for _, s := range scopes {
			invented := !strings.Contains(a+"\n"+b, s.Type) || !strings.Contains(a+"\n"+b, s.Name)
			for _, action := range s.Actions {
				invented = invented || !strings.Contains(a+"\n"+b, action)
			}
			if invented {
				t.Errorf("nobody wrote %+v", s)
			}
			if s.Type == "" || s.Name == "" || len(s.Actions) == 0 || !slices.IsSorted(s.Actions) {
				t.Errorf("odd scope %+v", s)
			}
			if strings.ContainsAny(s.Name, " ,\"\\") || strings.ContainsAny(s.Type, "():") {
				t.Errorf("odd character in %+v", s)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse([]string{"repository:team-a/app:pull,push"}); err != nil {
			b.Fatal(err)
		}
	}
}
