package permission

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const audience = "https://api.example.com"

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// res makes a resource of namespace team-a.
func res(t testing.TB, name, typ, owner string, scopes ...string) *resource.Resource {
	t.Helper()
	object := &v1alpha1.ProtectedResource{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name}}
	object.Spec.Audience, object.Spec.Type, object.Spec.Owner, object.Spec.DisplayName = audience, typ, owner, "The "+name
	object.Spec.URIs = []v1alpha1.ResourceURI{v1alpha1.ResourceURI("/" + name), v1alpha1.ResourceURI("/" + name + "/{id}")}
	for _, s := range scopes {
		object.Spec.Scopes = append(object.Spec.Scopes, v1alpha1.ResourceScope(s))
	}
	r, problems := resource.Compile(object)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return r
}

func catalog(t testing.TB) *resource.Catalog {
	t.Helper()
	return (*resource.Catalog)(nil).With(audience, []*resource.Resource{
		res(t, "one", "album", "", "view", "edit", "delete"), res(t, "two", "album", "alice", "view"), res(t, "three", "album", "bob", "view", "print"),
		res(t, "four", "printer", "", "print"),
	})
}

// spelled is asks as `object#scopes`, with what was named in parentheses.
func spelled(asks []Ask) []string {
	var list []string
	for _, a := range asks {
		text := a.Resource.Object + "#" + strings.Join(a.Scopes, ",")
		if a.Named {
			text += " (" + strings.Join(a.Wanted, ",") + ")"
		}
		list = append(list, text)
	}
	return list
}

func TestWhatIsAskedFor(t *testing.T) {
	many := make([]string, MaxParameters+1)
	for n := range many {
		many[n] = "team-a/one"
	}
	cases := map[string]struct {
		reason     string
		parameters []string
		form       Form
		want       []string
		err        error
	}{
		"Nothing in particular":           {"is everything", nil, Form{}, []string{"four#print", "one#delete,edit,view", "three#print,view", "two#view"}, nil},
		"By id":                           {"all its scopes", []string{"team-a/one"}, Form{}, []string{"one#delete,edit,view ()"}, nil},
		"By name":                         {"", []string{"The one#view"}, Form{}, []string{"one#view (view)"}, nil},
		"With scopes":                     {"sorted, each once", []string{"team-a/one#view,edit,view"}, Form{}, []string{"one#edit,view (edit,view)"}, nil},
		"In the order of the request":     {"the last ones are kept where there is a limit", []string{"team-a/two", "team-a/four", "team-a/one#view"}, Form{}, []string{"two#view ()", "four#print ()", "one#view (view)"}, nil},
		"Twice":                           {"is once, with the scopes of both", []string{"team-a/one#view", "The one#edit", "team-a/one#view"}, Form{}, []string{"one#edit,view (edit,view)"}, nil},
		"Twice, once with all scopes":     {"all, whatever else", []string{"team-a/one#view", "team-a/one"}, Form{}, []string{"one#delete,edit,view ()"}, nil},
		"A scope of any resource":         {"those that have it", []string{"#print"}, Form{}, []string{"four#print", "three#print"}, nil},
		"Scopes of any resource":          {"what of them each has", []string{"#print,edit"}, Form{}, []string{"four#print", "one#edit", "three#print"}, nil},
		"A type":                          {"all of it", []string{"resource-type:album"}, Form{}, []string{"one#delete,edit,view", "three#print,view", "two#view"}, nil},
		"A type with a scope":             {"those that have it", []string{"resource-type:album#print"}, Form{}, []string{"three#print"}, nil},
		"A type twice":                    {"is one set", []string{"resource-type:album#print", "resource-type-any:album#edit"}, Form{}, []string{"one#edit", "three#print"}, nil},
		"A type with a scope and without": {"all scopes", []string{"resource-type:album#edit", "resource-type:album"}, Form{}, []string{"one#delete,edit,view", "three#print,view", "two#view"}, nil},
		"Instances of a type":             {"those with an owner", []string{"resource-type-instance:album"}, Form{}, []string{"three#print,view", "two#view"}, nil},
		"The caller's own":                {"", []string{"resource-type-owner:album#view"}, Form{}, []string{"two#view"}, nil},
		"A set and one of it by name":     {"it is one ask", []string{"resource-type:album#view", "team-a/one#edit"}, Form{}, []string{"one#edit,view (edit)", "three#view", "two#view"}, nil},
		"By uri":                          {"", []string{"/one#view"}, Form{ByURI: true}, []string{"one#view (view)"}, nil},
		"By a path":                       {"", []string{"/one/17#view"}, Form{ByURI: true, Matching: true}, []string{"one#view (view)"}, nil},
		"A path that is no uri":           {"only where that is asked for", []string{"/one/17"}, Form{ByURI: true}, nil, ErrUnknownResource},
		"An id where uris are":            {"", []string{"team-a/one"}, Form{ByURI: true}, nil, ErrUnknownResource},
		"A set where uris are":            {"it is a uri that nobody has", []string{"resource-type:album"}, Form{ByURI: true}, nil, ErrUnknownResource},
		"An unknown resource":             {"", []string{"team-a/one", "team-a/none"}, Form{}, nil, ErrUnknownResource},
		"An unknown type":                 {"", []string{"resource-type:none"}, Form{}, nil, ErrUnknownResource},
		"No type":                         {"it is the name of nothing", []string{"resource-type:"}, Form{}, nil, ErrUnknownResource},
		"An unknown scope":                {"", []string{"team-a/two#edit"}, Form{}, nil, ErrUnknownScope},
		"A scope that no resource has":    {"", []string{"#view,none"}, Form{}, nil, ErrUnknownScope},
		"A scope that none of a type has": {"", []string{"resource-type:printer#view"}, Form{}, nil, ErrUnknownScope},
		"A star":                          {"a resource names its scopes", []string{"team-a/one#*"}, Form{}, nil, ErrUnknownScope},
		"Nothing":                         {"", []string{""}, Form{}, nil, ErrMalformed},
		"A hash":                          {"", []string{"#"}, Form{}, nil, ErrMalformed},
		"An empty scope":                  {"", []string{"team-a/one#view,"}, Form{}, nil, ErrMalformed},
		"Too many":                        {"", many, Form{}, nil, ErrMalformed},
		"Too long":                        {"", []string{strings.Repeat("x", 5000)}, Form{}, nil, ErrMalformed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			q, err := Parse(tc.parameters, tc.form)
			var asks []Ask
			if err == nil {
				asks, err = q.Resolve(catalog(t), audience, "alice")
			}
			if !errors.Is(err, tc.err) {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, spelled(asks)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestAResourceOfAnotherAudienceIsUnknown(t *testing.T) {
	for _, text := range []string{"team-a/one", "The one", "#view", "resource-type:album"} {
		q, err := Parse([]string{text}, Form{})
		if err != nil {
			t.Fatal(err)
		}
		if asks, err := q.Resolve(catalog(t), "https://other.example.com", "alice"); err == nil {
			t.Errorf("%s: %v", text, spelled(asks))
		}
	}
}

// asker is alice, who may view all albums and edit one until the end of the hour.
func asker(t testing.TB, spec ...v1alpha1.PolicySpec) *Asker {
	t.Helper()
	alice := []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}}
	rule := func(name v1alpha1.ResourceName, actions ...v1alpha1.Action) []v1alpha1.Rule {
		return []v1alpha1.Rule{{Type: "album", Names: []v1alpha1.ResourceName{name}, Actions: actions}}
	}
	if spec == nil {
		spec = []v1alpha1.PolicySpec{
			{Effect: v1alpha1.EffectAllow, Rules: rule("**", "view")},
			{Effect: v1alpha1.EffectAllow, Rules: rule("one", "edit"), When: &v1alpha1.When{NotAfter: "2026-01-01T12:30:00Z"}},
			{Effect: v1alpha1.EffectAllow, Rules: rule("one", "delete"), When: &v1alpha1.When{NotAfter: "2026-01-01T12:00:30Z"}},
			{Effect: v1alpha1.EffectAllow, Rules: rule("three", "print"), When: &v1alpha1.When{Expression: `"ward" in request.claims && request.claims["ward"].exists(w, w == "7")`}},
		}
	}
	var compiled []*policy.Policy
	for n, s := range spec {
		if s.Subjects = alice; s.Rules == nil {
			s.Rules = rule("**", "view")
		}
		p, problems := policy.CompileClusterAccessPolicy(&v1alpha1.ClusterAccessPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("p", n)}, Spec: v1alpha1.ClusterAccessPolicySpec{PolicySpec: s},
		})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		compiled = append(compiled, p)
	}
	return &Asker{
		Policies: policy.NewIndex(compiled), Caller: caller.Caller{Username: "alice", Method: caller.MethodPassword}, Audience: audience,
		Time: now, Admits: func(string) bool { return true }, Budget: policy.NewBudget(),
	}
}

func TestEvaluate(t *testing.T) {
	c := catalog(t)
	of := func(name string, named bool, claims map[string][]string, scopes ...string) Ask {
		a := Ask{Resource: c.ByID(audience, "team-a/"+name), Scopes: scopes, Named: named, Claims: claims}
		if named {
			a.Wanted = scopes
		}
		return a
	}
	ward := map[string][]string{"ward": {"7"}}
	half := now.Add(30 * time.Minute)
	cases := map[string]struct {
		reason string
		asks   []Ask
		least  time.Duration
		claims map[string]any
		want   []token.Permission
		whole  bool
		ends   time.Time
	}{
		"All of it":                        {"", []Ask{of("one", true, nil, "view")}, time.Minute, nil, []token.Permission{{ID: "team-a/one", Name: "The one", Scopes: []string{"view"}}}, true, time.Time{}},
		"A part":                           {"what is not granted is left out", []Ask{of("one", true, nil, "edit", "view"), of("four", false, nil, "print")}, time.Minute, nil, []token.Permission{{ID: "team-a/one", Name: "The one", Scopes: []string{"edit", "view"}}}, true, half},
		"A part of what was named":         {"that is not all of it", []Ask{of("three", true, nil, "print", "view")}, time.Minute, nil, []token.Permission{{ID: "team-a/three", Name: "The three", Scopes: []string{"view"}}}, false, time.Time{}},
		"None":                             {"", []Ask{of("four", true, nil, "print")}, time.Minute, nil, []token.Permission{}, false, time.Time{}},
		"What ends at once":                {"is not for a token of a minute", []Ask{of("one", true, nil, "delete", "edit")}, time.Minute, nil, []token.Permission{{ID: "team-a/one", Name: "The one", Scopes: []string{"edit"}}}, false, half},
		"What ends at once, for an answer": {"that is true now", []Ask{of("one", true, nil, "delete")}, 0, nil, []token.Permission{{ID: "team-a/one", Name: "The one", Scopes: []string{"delete"}}}, true, now.Add(30 * time.Second)},
		"What the resource server said":    {"it goes into the answer", []Ask{of("three", true, ward, "print")}, 0, nil, []token.Permission{{ID: "team-a/three", Name: "The three", Scopes: []string{"print"}, Claims: ward}}, true, time.Time{}},
		"Of another permission":            {"it is not for this one", []Ask{of("three", false, nil, "print"), of("two", false, ward, "view")}, 0, nil, []token.Permission{{ID: "team-a/two", Name: "The two", Scopes: []string{"view"}, Claims: ward}}, true, time.Time{}},
		"What an ID token said":            {"", []Ask{of("three", true, nil, "print")}, 0, map[string]any{"ward": []any{"7"}}, []token.Permission{{ID: "team-a/three", Name: "The three", Scopes: []string{"print"}}}, true, time.Time{}},
		"Both said it": {
			"the resource server wins", []Ask{of("three", true, map[string][]string{"ward": {"8"}}, "print")}, 0, map[string]any{"ward": []any{"7"}},
			[]token.Permission{}, false, time.Time{},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := asker(t)
			a.Least, a.Claims = tc.least, tc.claims
			answer := a.Evaluate(tc.asks)
			if diff := cmp.Diff(tc.want, answer.Permissions(true)); diff != "" || (len(answer.Denied) == 0) != tc.whole || !answer.NotAfter().Equal(tc.ends) {
				t.Errorf("%s denied = %v, ends = %s (-want +got):\n%s", tc.reason, spelled(answer.Denied), answer.NotAfter(), diff)
			}
		})
	}
}

// TestTheOrderOfTheRequestDecidesNothing spends the budget of expressions before the end.
func TestTheOrderOfTheRequestDecidesNothing(t *testing.T) {
	var resources []*resource.Resource
	for n := range 300 {
		resources = append(resources, res(t, fmt.Sprintf("r%03d", n), "album", "", "view"))
	}
	c := (*resource.Catalog)(nil).With(audience, resources)
	asks, err := new(Query).Resolve(c, audience, "alice")
	if err != nil {
		t.Fatal(err)
	}
	const numbers = "[1, 2, 3, 4, 5, 6, 7, 8, 9]"
	dear := v1alpha1.PolicySpec{Effect: v1alpha1.EffectAllow, When: &v1alpha1.When{
		Expression: numbers + ".all(a, " + numbers + `.all(b, a * b > 0 && resource.name != ""))`,
	}}
	granted := func(asks []Ask) []string {
		answer := asker(t, dear).Evaluate(asks)
		var ids []string
		for _, g := range answer.Granted {
			ids = append(ids, g.Resource.ID)
		}
		slices.Sort(ids)
		return ids
	}
	want := granted(asks)
	if len(want) == 0 || len(want) == len(asks) {
		t.Fatalf("%d of %d are granted: the budget is not spent on the way", len(want), len(asks))
	}
	slices.Reverse(asks)
	if diff := cmp.Diff(want, granted(asks)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTicketsAndOlderTokens(t *testing.T) {
	c := catalog(t)
	cases := map[string]struct {
		reason      string
		permissions []token.Permission
		want        []string
		whole       bool
	}{
		"As it was":               {"", []token.Permission{{ID: "team-a/one", Scopes: []string{"view", "edit"}}}, []string{"one#edit,view (edit,view)"}, true},
		"Without scopes":          {"all that it has now", []token.Permission{{ID: "team-a/two"}}, []string{"two#view ()"}, true},
		"A scope that is gone":    {"it is left out", []token.Permission{{ID: "team-a/one", Scopes: []string{"view", "gone"}}}, []string{"one#view (view)"}, false},
		"No scope is left":        {"it is not all of them then", []token.Permission{{ID: "team-a/one", Scopes: []string{"gone"}}}, nil, false},
		"A resource that is gone": {"", []token.Permission{{ID: "team-a/gone"}, {ID: "team-a/two"}}, []string{"two#view ()"}, false},
		"A name":                  {"only ids are in tokens", []token.Permission{{ID: "The one"}}, nil, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			asks, whole := Of(c, audience, tc.permissions, true)
			if diff := cmp.Diff(tc.want, spelled(asks)); diff != "" || whole != tc.whole {
				t.Errorf("%s whole = %v (-want +got):\n%s", tc.reason, whole, diff)
			}
		})
	}
}

func TestUpgrade(t *testing.T) {
	c := catalog(t)
	ward := map[string][]string{"ward": {"7"}}
	older, _ := Of(c, audience, []token.Permission{
		{ID: "team-a/one", Scopes: []string{"view"}}, {ID: "team-a/two"}, {ID: "team-a/three", Scopes: []string{"print"}, Claims: ward},
	}, false)
	latest, _ := Of(c, audience, []token.Permission{{ID: "team-a/three", Scopes: []string{"view"}}, {ID: "team-a/one", Scopes: []string{"edit"}}}, true)
	want := []string{"two#view", "three#print", "three#view (view)", "one#edit,view (edit)"}
	got := Upgrade(older, latest)
	if diff := cmp.Diff(want, spelled(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got[2].Claims != nil {
		t.Error("what the resource server said of printing is said of viewing")
	}
	answer := Answer{Granted: []Granted{{Ask: &got[0]}, {Ask: &got[1]}, {Ask: &got[2]}}}
	answer.Last(1)
	if len(answer.Granted) != 1 || answer.Granted[0].Ask != &got[2] {
		t.Error("the last one is kept")
	}
	if answer.Last(9); len(answer.Granted) != 1 {
		t.Error("there is one")
	}
}

// TestWhatWasSaidOfARequestEnds carries a permission with claims into another token, which ends with the one that it came from.
func TestWhatWasSaidOfARequestEnds(t *testing.T) {
	c, ward := catalog(t), map[string][]string{"ward": {"7"}}
	older, _ := Of(c, audience, []token.Permission{{ID: "team-a/three", Scopes: []string{"print"}, Claims: ward}, {ID: "team-a/two"}}, false)
	fresh, _ := Of(c, audience, []token.Permission{{ID: "team-a/three", Scopes: []string{"print"}, Claims: ward}}, true)
	end := now.Add(5 * time.Minute)
	cases := map[string]struct {
		reason string
		asks   []Ask
		end    time.Time
		want   []string
		ends   time.Time
	}{
		"Carried":          {"the answer ends with it", Upgrade(older, nil), end, []string{"three", "two"}, end},
		"Said again":       {"it is true anew", Upgrade(older, fresh), end, []string{"two", "three"}, time.Time{}},
		"About to end":     {"no token lives so short", Upgrade(older, nil), now.Add(30 * time.Second), []string{"two"}, time.Time{}},
		"Nothing was said": {"then nothing ends", older[1:], end, []string{"two"}, time.Time{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := asker(t)
			a.Least = time.Minute
			carried := make([]Ask, len(tc.asks))
			for n, ask := range tc.asks {
				carried[n] = ask
				if !ask.Named {
					Until(carried[n:n+1], tc.end)
				}
			}
			answer := a.Evaluate(carried)
			var got []string
			for _, g := range answer.Granted {
				got = append(got, g.Resource.Object)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || !answer.NotAfter().Equal(tc.ends) {
				t.Errorf("%s ends = %s (-want +got):\n%s", tc.reason, answer.NotAfter(), diff)
			}
		})
	}
}

func TestWithinTheScopesOfAToken(t *testing.T) {
	c := catalog(t)
	asks, _ := Of(c, audience, []token.Permission{{ID: "team-a/one"}, {ID: "team-a/two"}}, true)
	has := []scope.Scope{{Type: "album", Name: "one", Actions: []string{"edit", "none", "view"}}, {Type: "printer", Name: "two", Actions: []string{"view"}}}
	within, whole := Within(c, audience, asks, has)
	if diff := cmp.Diff([]string{"one#edit,view ()"}, spelled(within)); diff != "" || whole {
		t.Errorf("whole = %v (-want +got):\n%s", whole, diff)
	}
	if diff := cmp.Diff([]string{"delete", "edit", "view"}, asks[0].Scopes, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("what is asked was changed (-want +got):\n%s", diff)
	}
}

func TestClaims(t *testing.T) {
	many := map[string][]string{}
	for n := range 17 {
		many[fmt.Sprint(n)] = []string{"x"}
	}
	cases := map[string]struct {
		claims map[string][]string
		good   bool
	}{
		"None": {nil, true}, "Two values": {map[string][]string{"ward": {"7", ""}}, true}, "Too many": {many, false},
		"An issuer's name": {map[string][]string{"iss": {"https://github.com"}}, false}, "A mail address": {map[string][]string{"email": {"x"}}, false},
		"In capitals": {map[string][]string{"Groups": {"x"}}, false}, "Like a name": {map[string][]string{"subject": {"x"}}, true},
		"No values": {map[string][]string{"a": {}}, false}, "No name": {map[string][]string{"": {"x"}}, false},
		"Too many values":  {map[string][]string{"a": make([]string, 17)}, false},
		"A long name":      {map[string][]string{strings.Repeat("a", 65): {"x"}}, false},
		"A long value":     {map[string][]string{"a": {strings.Repeat("a", 257)}}, false},
		"A line feed":      {map[string][]string{"a": {"a\nb"}}, false},
		"What is no UTF-8": {map[string][]string{"a\xff": {"x"}}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if problem := ClaimsProblem(tc.claims); (problem == "") != tc.good {
				t.Errorf("%q", problem)
			}
		})
	}
}

// FuzzParse holds that whatever is asked for, no resource comes twice, none without a scope, and none with one that it has not.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"team-a/one#view", "#view,print", "resource-type:album#edit", "resource-type-owner:album\nteam-a/two", "/one/1", "a#b#c", "#", ""} {
		f.Add(seed, false, false)
		f.Add(seed, true, true)
	}
	c := catalog(f)
	f.Fuzz(func(t *testing.T, text string, byURI, matching bool) {
		q, err := Parse(strings.Split(text, "\n"), Form{byURI, matching})
		if err != nil {
			return
		}
		asks, err := q.Resolve(c, audience, "alice")
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, a := range asks {
			if seen[a.Resource.ID] || len(a.Scopes) == 0 || !slices.IsSorted(a.Scopes) || !within(a.Scopes, a.Wanted) || !within(a.Resource.Scopes, a.Scopes) {
				t.Fatalf("%q asks for %v", text, spelled(asks))
			}
			seen[a.Resource.ID] = true
		}
	})
}

func within(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

func BenchmarkEvaluate(b *testing.B) {
	for _, size := range []int{100, 10_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			resources := make([]*resource.Resource, size)
			for n := range resources {
				resources[n] = res(b, fmt.Sprintf("r%05d", n), "album", "", "view", "edit")
			}
			c, a := (*resource.Catalog)(nil).With(audience, resources), asker(b)
			b.ReportAllocs()
			for b.Loop() {
				asks, err := new(Query).Resolve(c, audience, "alice")
				if err != nil {
					b.Fatal(err)
				}
				answer := a.Evaluate(asks)
				if n := len(token.AppendPermissions(nil, answer.Permissions(true))); n < size*40 {
					b.Fatal(n)
				}
			}
		})
	}
}
