package review

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

func TestParseCases(t *testing.T) {
	pull := &[]string{"pull"}
	want := &Cases{Manifests: []string{"a"}, Namespace: "ns", Audience: "r", Cases: []Case{
		{Name: "first", As: "a", Groups: []string{"g"}, Extra: map[string][]string{"k": {"v"}}, From: "::1", At: "2026-01-01T00:00:00Z", Audience: "r",
			Request: "album:a:b", Namespace: "x", Actions: []string{"pull"}, Expect: pull},
		{Name: "second", Audience: "s"},
	}}
	body := "as: a, groups: [g], extra: {k: [v]}, from: '::1', at: \"2026-01-01T00:00:00Z\", request: \"album:a:b\", namespace: x, actions: [pull], expect: [pull]"
	for name, text := range map[string]string{
		"a map":  "manifests: [a]\nnamespace: ns\naudience: r\ncases:\n  second: {audience: s}\n  first: {" + body + "}\n",
		"a list": "manifests: [a]\nnamespace: ns\naudience: r\ncases:\n- {name: first, " + body + "}\n- {name: second, audience: s}\n",
	} {
		got, err := ParseCases([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":                    {"", "must hold one document, not 0"},
		"no cases":                   {"audience: r\n", "cases: there must be at least one: a table without any cannot fail"},
		"cases that are none":        {"cases: 5\n", "cases: cannot unmarshal number into Go value of type []review.Case"},
		"null":                       {"cases: null\n", "cases: there must be at least one: a table without any cannot fail"},
		"a name beside the key":      {"cases:\n  a: {name: b}\n", "cases.a: must not have a name beside its key"},
		"two of one name":            {"cases: [{name: a}, {name: a}]\n", `cases[1]: there is another case with the name "a"`},
		"a name that is made":        {"cases: [{name: case 2}, {}]\n", `cases[1]: there is another case with the name "case 2"`},
		"a field in another case":    {"cases: [{As: a}]\n", "cases [0].As: there is no such field"},
		"a text for a list":          {"cases: [{actions: pull}]\n", "cases: cannot unmarshal string into Go struct field Case.actions of type []string"},
		"what YAML takes for a bool": {"cases: [{as: yes}]\n", "cases: cannot unmarshal bool into Go struct field Case.as of type string"},
	} {
		if _, err := ParseCases([]byte(tc.text)); err == nil || err.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}

// FuzzParseCases shows that no table stops the program, and that a case which can be asked has an answer.
func FuzzParseCases(f *testing.F) {
	for _, text := range []string{
		"cases: [{as: a, audience: r, request: \"repository:a/b\", actions: [pull], expect: []}]\n",
		"cases:\n  a: {as: system:anonymous, from: \"fe80::1%x\", audience: r, request: \"registry:catalog\", actions: [\"*\"], expect: [\"*\"]}\n",
		"{\"cases\": {\"a\": {\"extra\": {\"k\": [\"v\"]}}}}", "cases: [&a {as: a}, *a]\n", "cases: {1: {}, \"1\": {}}\n",
	} {
		f.Add([]byte(text))
	}
	w := New(Objects{}, true)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text []byte) {
		cases, err := ParseCases(text)
		if err != nil {
			if cases != nil || err.Error() == "" {
				t.Errorf("an error that helps nobody: %v", err)
			}
			return
		}
		if len(cases.Cases) == 0 {
			t.Error("no case, and no error")
		}
		for _, c := range cases.Cases {
			result, err := w.Check(c, now)
			if err != nil {
				continue
			}
			if len(result.Answer.Granted) > 0 || len(result.Answer.Denied) != len(policy.Asked(result.Request)) {
				t.Errorf("without policies %+v is answered %+v", c, result.Answer)
			}
			if result.Holds() != (len(*c.Expect) == 0) {
				t.Errorf("%+v holds: %v", c, result.Holds())
			}
		}
	})
}

// TestCaseOfAHostAndPort shows that a request is cut at its first colon.
func TestCaseOfAHostAndPort(t *testing.T) {
	req, err := Case{As: "a", Audience: "r", Request: "repository:localhost:5000/app", Actions: []string{"pull"}}.Question(time.Now())
	if err != nil || req.Resource.Type != "repository" || req.Resource.Name != "localhost:5000/app" {
		t.Errorf("got %+v, %v", req.Resource, err)
	}
	if _, err := (Case{As: "a", Audience: "r", Request: ":x", Actions: []string{"pull"}}).Question(time.Now()); err == nil || !strings.Contains(err.Error(), "type") {
		t.Errorf("without a type: %v", err)
	}
}
