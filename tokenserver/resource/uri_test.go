package resource

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

func isIDTaken(p policy.Problem) bool { return p.Reason == v1alpha1.ReasonIDTaken }

func TestMatching(t *testing.T) {
	var resources []*Resource
	at := func(minute int, uri string) {
		resources = append(resources, served("a", strings.Map(func(r rune) rune {
			if alphanumeric(r) {
				return r
			}
			return '-'
		}, uri)+string(rune('a'+minute)), minute, func(r *Resource) { r.Name, r.URIs = uri, []string{uri} }))
	}
	for i, uri := range []string{
		"/albums/*", "/albums/{id}", "/albums/7", "/albums/{id}/photos/{photo}", "/albums/{id}/*", "/albums/{id}/{kind}/latest", "/docs", "/docs/{page}/",
		"https://h.example.com/docs/*",
	} {
		at(i, uri)
	}
	c := catalogOf(resources...)
	cases := map[string]struct {
		reason string
		args   string
		want   string
	}{
		"the very uri":                   {"nothing fits better", "/albums/7", "/albums/7"},
		"a placeholder":                  {"its literal beginning is longer than that of the star", "/albums/8", "/albums/{id}"},
		"below":                          {"a placeholder is one segment", "/albums/8/x", "/albums/{id}/*"},
		"more segments":                  {"it says more", "/albums/8/photos/1", "/albums/{id}/photos/{photo}"},
		"two that say as much":           {"the one that is literal first", "/albums/8/photos/latest", "/albums/{id}/photos/{photo}"},
		"the other of the two":           {"only it fits", "/albums/8/films/latest", "/albums/{id}/{kind}/latest"},
		"the path before the star":       {"who protects what is below protects it too", "/albums", "/albums/*"},
		"an empty segment":               {"a placeholder stands for something", "/albums/", "/albums/*"},
		"an empty segment in the middle": {"as above", "/albums//photos/1", "/albums/*"},
		"a longer word":                  {"segments are whole", "/albumsx", ""},
		"another case":                   {"paths have cases", "/Albums/7", ""},
		"a slash more at the end":        {"it is another path", "/docs/", ""},
		"dots":                           {"nobody cleans the path here, and it must not be what it would lead to", "/docs/../albums/7", ""},
		"dots that lead out of a star":   {"they are segments like others: who asks has to clean", "/albums/../docs", "/albums/{id}/*"},
		"an encoded slash":               {"it is not decoded here: it is one segment", "/albums/7%2Fphotos", "/albums/{id}"},
		"an encoded letter":              {"it is another text", "/d%6Fcs", ""},
		"a query":                        {"it is no part of a path", "/docs?x", ""},
		"a pattern as a path":            {"its star is a segment like others", "/albums/*", "/albums/{id}"},
		"a placeholder as a path":        {"it is a segment like others", "/albums/{x}", "/albums/{id}"},
		"the catalog's own placeholder":  {"it is a segment like others", "/albums/\xff", "/albums/{id}"},
		"an absolute URI":                {"it is not the same as its path", "https://h.example.com/docs/x", "https://h.example.com/docs/*"},
		"another host":                   {"it is another server's", "https://evil.example.com/docs/x", ""},
		"a user before the host":         {"it is another text", "https://h.example.com@evil.example.com/docs/x", ""},
		"nothing":                        {"it is no path", "", ""},
		"no slash":                       {"it is no path", "albums/7", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := ""
			if r := c.Matching(photos, tc.args); r != nil {
				got = r.Name
			}
			if got != tc.want {
				t.Errorf("%s: %q is %q, want %q", tc.reason, tc.args, got, tc.want)
			}
		})
	}
}

func drawURI(t *rapid.T) string {
	segments := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "{x}", "{y}", "", "a.b"}), 1, 4).Draw(t, "segments")
	uri := "/" + strings.Join(segments, "/")
	if rapid.IntRange(0, 2).Draw(t, "rest") == 0 {
		uri = strings.TrimSuffix(uri, "/") + "/*"
	}
	return uri
}

func drawPath(t *rapid.T) string {
	segments := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a", "b", "", "a.b", "{x}", "*", "\xff", "c"}), 0, 5).Draw(t, "path")
	return rapid.SampledFrom([]string{"/", "/", "/", ""}).Draw(t, "root") + strings.Join(segments, "/")
}

// naiveClaim is a claim of a resource that is served.
type naiveClaim struct {
	resource *Resource
	Claim
}

// naiveOlder is the order of claims.
func naiveOlder(a, b naiveClaim) int {
	return cmp.Or(a.Since.Compare(b.Since), a.resource.Created.Compare(b.resource.Created),
		strings.Compare(a.resource.Namespace, b.resource.Namespace), strings.Compare(a.resource.Object, b.resource.Object))
}

// naiveMatch takes all claims that fit, asks the oldest for its namespace, and takes the most specific one of that.
func naiveMatch(resources []*Resource, path string) *Resource {
	var fit []naiveClaim
	for _, r := range naiveServed(resources) {
		for _, c := range r.Claims {
			if naiveFits(c.URI, path) {
				fit = append(fit, naiveClaim{r, c})
			}
		}
	}
	return naiveFirst(fit, func(a, b naiveClaim) int { return slices.Compare(naiveRank(a.URI), naiveRank(b.URI)) })
}

// naiveHolder is who holds the uri itself.
func naiveHolder(resources []*Resource, uri string) *Resource {
	var fit []naiveClaim
	for _, r := range naiveServed(resources) {
		for _, c := range r.Claims {
			if naiveMeaning(c.URI) == naiveMeaning(uri) || naivePattern(c.URI) && naiveCovers(c.URI, uri) {
				fit = append(fit, naiveClaim{r, c})
			}
		}
	}
	other := func(c naiveClaim) int {
		if naiveMeaning(c.URI) == naiveMeaning(uri) {
			return 0
		}
		return 1
	}
	r := naiveFirst(fit, func(a, b naiveClaim) int { return cmp.Compare(other(a), other(b)) })
	if r == nil || !slices.ContainsFunc(r.URIs, func(u string) bool { return naiveMeaning(u) == naiveMeaning(uri) }) {
		return nil
	}
	return r
}

func naiveFirst(fit []naiveClaim, better func(a, b naiveClaim) int) *Resource {
	if len(fit) == 0 {
		return nil
	}
	namespace := slices.MinFunc(fit, naiveOlder).resource.Namespace
	fit = slices.DeleteFunc(fit, func(c naiveClaim) bool { return c.resource.Namespace != namespace })
	return slices.MinFunc(fit, func(a, b naiveClaim) int { return cmp.Or(better(a, b), naiveOlder(a, b)) }).resource
}

// naiveServed are the resources whose id is their own, the oldest first.
func naiveServed(resources []*Resource) (served []*Resource) {
	for _, r := range slices.SortedFunc(slices.Values(resources), age) {
		taken := slices.ContainsFunc(served, func(s *Resource) bool { return s.ID == r.ID })
		if owner := naiveOwner(served, r.ID); !taken && (strings.Contains(r.ID, "/") || owner == "" || owner == r.Namespace) {
			served = append(served, r)
		}
	}
	return served
}

// naiveOwner is the namespace of the oldest resource that chose the word as its id, or is called so.
func naiveOwner(served []*Resource, word string) string {
	for _, r := range served {
		if r.ID == word && !strings.Contains(word, "/") || r.Name == word && (word != "a/r0" || r.Namespace == "a") {
			return r.Namespace
		}
	}
	return ""
}

func naiveFind(resources []*Resource, word string) *Resource {
	served := naiveServed(resources)
	if at := slices.IndexFunc(served, func(r *Resource) bool { return r.ID == word }); at >= 0 {
		return served[at]
	}
	owner := naiveOwner(served, word)
	if at := slices.IndexFunc(served, func(r *Resource) bool { return r.Name == word && r.Namespace == owner }); at >= 0 {
		return served[at]
	}
	return nil
}

// naiveMeaning is the uri with all placeholders called alike.
func naiveMeaning(uri string) string {
	return strings.NewReplacer("{x}", "{}", "{y}", "{}").Replace(uri)
}

// naiveCovers says whether whatever the second uri matches is matched by the first, a pattern: no text but a placeholder's matches
// its placeholders, and only /* goes on for ever.
func naiveCovers(pattern, uri string) bool {
	trimmed, rest := strings.CutSuffix(naiveMeaning(uri), "/*")
	return naivePattern(pattern) && (!rest || strings.HasSuffix(pattern, "/*")) && naiveFits(pattern, trimmed)
}

func naivePattern(uri string) bool { return strings.HasSuffix(uri, "/*") || strings.Contains(uri, "{") }

func naiveFits(uri, path string) bool {
	if !naivePattern(uri) {
		return uri == path
	}
	if path == "" {
		return false
	}
	trimmed, rest := strings.CutSuffix(uri, "/*")
	want, have := strings.Split(trimmed, "/"), strings.Split(path, "/")
	if len(have) < len(want) || len(have) > len(want) && !rest {
		return false
	}
	for i, s := range want {
		placeholder := strings.HasPrefix(s, "{")
		if placeholder && have[i] == "" || !placeholder && have[i] != s {
			return false
		}
	}
	return true
}

// naiveRank is lower for what is more specific: literal before patterns, a longer literal beginning, more segments, no star,
// and then a literal segment before a placeholder, from the left.
func naiveRank(uri string) []int {
	if !naivePattern(uri) {
		return []int{0}
	}
	trimmed, rest := strings.CutSuffix(uri, "/*")
	literal, _, _ := strings.Cut(trimmed, "{")
	rank := []int{1, -len(literal), -strings.Count(trimmed, "/"), 0}
	if rest {
		rank[3] = 1
	}
	for s := range strings.SplitSeq(trimmed, "/") {
		if strings.HasPrefix(s, "{") {
			rank = append(rank, 1)
		} else {
			rank = append(rank, 0)
		}
	}
	return rank
}

func TestMatchingAgreesWithANaiveMatcher(t *testing.T) {
	rapid.Check(t, matchesNaively)
}

func matchesNaively(t *rapid.T) {
	var resources []*Resource
	for i := range rapid.IntRange(1, 12).Draw(t, "resources") {
		resources = append(resources, drawResource(t, i))
	}
	c := catalogOf(resources...)
	for range 20 {
		path := drawPath(t)
		if want, got := naiveMatch(resources, path), c.Matching(photos, path); got != want {
			t.Fatalf("%q is %+v, want %+v", path, got, want)
		}
	}
	for range 20 {
		uri := drawURI(t)
		want, got := naiveHolder(resources, uri), c.ByURI(photos, uri)
		if got != want {
			t.Fatalf("%q is held by %+v, want %+v", uri, got, want)
		}
		for _, r := range resources {
			mine := served(r.Namespace, r.Object, 0, func(m *Resource) { *m = *r; m.URIs = []string{uri} })
			if taken := slices.ContainsFunc(c.Taken(mine), func(p policy.Problem) bool { return p.Reason == v1alpha1.ReasonURITaken }); got == r && taken {
				t.Fatalf("%+v holds %q, and is told otherwise", r, uri)
			}
		}
	}
}

// FuzzMatching lets the fuzzer choose what the property tests draw.
func FuzzMatching(f *testing.F) { f.Fuzz(rapid.MakeFuzz(matchesNaively)) }

// FuzzURI lets the fuzzer write a uri and a path, and holds what must be so of any.
func FuzzURI(f *testing.F) {
	for _, uri := range []string{"/a/{b}/*", "/a/../b", "https://h/{x}", "/{", "/*", "//", "/a%2F{x}", "/\xff"} {
		f.Add(uri, "/a/b/c")
	}
	f.Fuzz(func(t *testing.T, uri, path string) {
		if URIProblem(uri) != "" {
			return
		}
		r := served("a", "b", 0, func(r *Resource) { r.URIs = []string{uri} })
		c := catalogOf(r)
		if c.ByURI(photos, uri) != r {
			t.Errorf("%q does not hold itself", uri)
		}
		if !naivePattern(uri) && (c.Matching(photos, uri) != r || (c.Matching(photos, path) != nil) != (uri == path)) {
			t.Errorf("the literal %q matches %q: %t", uri, path, uri != path)
		}
		if literal, _, _ := strings.Cut(strings.TrimSuffix(uri, "/*"), "{"); c.Matching(photos, path) != nil && !strings.HasPrefix(path, literal) {
			t.Errorf("%q matches %q", uri, path)
		}
	})
}

// FuzzCompile lets the fuzzer write a resource: what compiles keeps to what the rest of the server relies on.
func FuzzCompile(f *testing.F) {
	f.Add("team-a", "album", "", "", "album", "/a/{b}", "view", "alice", "photos", "k", "v")
	f.Add("", "*", "a/b", "\x00", "oauth", "/../", "*", "system:anonymous", " ", "", "\xff")
	f.Fuzz(func(t *testing.T, namespace, name, id, display, typ, uri, scope, owner, audience, key, value string) {
		o := album(nil)
		o.Namespace, o.Name = namespace, name
		o.Spec = v1alpha1.ProtectedResourceSpec{
			ID: id, DisplayName: display, Type: typ, URIs: []v1alpha1.ResourceURI{v1alpha1.ResourceURI(uri)}, Scopes: []v1alpha1.ResourceScope{v1alpha1.ResourceScope(scope)},
			Owner: owner, OwnerManagedAccess: v1alpha1.Allowed, Audience: v1alpha1.Audience(audience),
			Attributes: []v1alpha1.ResourceAttribute{{Key: key, Values: []string{value}}},
		}
		r, problems := Compile(o)
		if (r == nil) != (len(problems) > 0) {
			t.Fatalf("%+v with problems %+v", r, problems)
		}
		if r == nil {
			return
		}
		if !r.Policy().Nameable() || r.Policy().Owner() != namespace {
			t.Errorf("policies cannot speak of %+v", r.Policy())
		}
		if foreign := id == "" && r.ID != namespace+"/"+name || id != "" && strings.Contains(r.ID, "/"); foreign {
			t.Errorf("the id %q is another's", r.ID)
		}
		if strings.ContainsAny(r.ID, "#,\n") || r.Name == "" || r.Type == "" {
			t.Errorf("%+v", r)
		}
	})
}
