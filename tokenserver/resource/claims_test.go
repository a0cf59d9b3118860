package resource

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// TestNobodyGetsAPathOutOfAnothersByOtherWords has a tenant claim what another has in other words that fit better. The victim's
// claims are as old as the object, but for the last ones.
func TestNobodyGetsAPathOutOfAnothersByOtherWords(t *testing.T) {
	cases := map[string]struct {
		reason        string
		victim, thief func(*Resource)
		// want is who has a path: v the victim, t the thief.
		want map[string]string
	}{
		"a star below a placeholder": {"it matches the path before the star, too", claiming(10, "/albums/{id}"), claiming(20, "/albums/7/*"),
			map[string]string{"/albums/7": "v", "/albums/8": "v", "/albums/7/x": "t"}},
		"two patterns that cross": {"neither covers the other", claiming(10, "/files/{x}/raw"), claiming(20, "/files/secret/{y}"),
			map[string]string{"/files/secret/raw": "v", "/files/open/raw": "v", "/files/secret/x": "t"}},
		"a literal within a pattern":     {"", claiming(10, "/a/*"), claiming(20, "/a/b"), map[string]string{"/a/b": "v", "/a/c": "v", "/a": "v"}},
		"another name of a placeholder":  {"", claiming(10, "/a/{b}"), claiming(20, "/a/{c}"), map[string]string{"/a/b": "v"}},
		"a uri that an old object added": {"the thief's object is the oldest, and its claim is not", claiming(10, "/albums/{id}"), claiming(11, "/albums/{id}", "/albums/7", "/*"), map[string]string{"/albums/7": "v", "/x": "t"}},
		"a uri that is all": {"what was there before stays, and what is claimed within it later is its", claiming(15, "/a", "/b/*"), claiming(12, "/*"),
			map[string]string{"/a": "t", "/b/c": "t"}},
		"a part of what was claimed before": {"the victim knew that it did not get it", claiming(15, "/a/*"), claiming(12, "/a/b"),
			map[string]string{"/a/b": "t", "/a/c": "v", "/a": "v"}},
		"a uri of one second": {"then the older object has it", claiming(10, "/a"), claiming(10, "/a"), map[string]string{"/a": "t"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			victim, thief := served("aaa", "albums", 10, tc.victim), served("evil", "old", 0, tc.thief)
			got := map[string]string{}
			for path := range tc.want {
				got[path] = map[*Resource]string{victim: "v", thief: "t"}[catalogOf(thief, victim).Matching(photos, path)]
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestANamespaceDividesWhatIsItsOwn: it does so whatever the ages are, also within what it took back from another.
func TestANamespaceDividesWhatIsItsOwn(t *testing.T) {
	whole := served("a", "whole", 0, claiming(1, "/x/*"))
	other := served("b", "other", 0, claiming(2, "/x/{y}", "/x/lit"))
	part := served("a", "part", 0, claiming(3, "/x/{z}", "/x/lit"))
	c := catalogOf(other, part, whole)
	for path, want := range map[string]*Resource{"/x/1": part, "/x/lit": part, "/x/1/2": whole, "/x": whole} {
		if got := c.Matching(photos, path); got != want {
			t.Errorf("%s is %+v", path, got)
		}
	}
	if c.ByURI(photos, "/x/{any}") != part || c.ByURI(photos, "/x/lit") != part || c.ByURI(photos, "/x/other") != nil {
		t.Error("the uri itself is another's than what it matches")
	}
	if len(c.Taken(other)) != 2 || len(c.Taken(part)) != 0 || len(c.Taken(whole)) != 0 {
		t.Errorf("told: %+v %+v %+v", c.Taken(other), c.Taken(part), c.Taken(whole))
	}
}

// TestAURIThatIsNotKnownToBeClaimedIsNotServed is the moment between a change of the spec and the manager's look.
func TestAURIThatIsNotKnownToBeClaimedIsNotServed(t *testing.T) {
	fresh := served("evil", "old", 0, func(r *Resource) { r.URIs, r.Claims = []string{"/a", "/new"}, []Claim{} })
	victim := served("aaa", "albums", 10, claiming(10, "/a"))
	c := catalogOf(fresh, victim)
	if c.ByID(photos, "evil/old") != fresh || c.Matching(photos, "/new") != nil || c.ByURI(photos, "/new") != nil || c.Matching(photos, "/a") != victim {
		t.Error("it is")
	}
	if got := c.Taken(fresh); len(got) != 1 || got[0].Path != "spec.uris[0]" {
		t.Errorf("told: %+v", got)
	}
}

// TestIDsAndNamesAreOneSpaceOfClaims is the tenant who takes as an id what another is called, and the reverse.
func TestIDsAndNamesAreOneSpaceOfClaims(t *testing.T) {
	edit := func(id, name string) func(*Resource) {
		return func(r *Resource) {
			if id != "" {
				r.ID = id
			}
			r.Name = name
		}
	}
	cases := map[string]struct {
		reason           string
		older, younger   *Resource
		word             string
		want             string // the object that the word finds
		served, nameless bool   // of the younger one
	}{
		"another's name as an id": {"clients that say the name would get another", served("aaa", "older", 0, edit("", "Albums")),
			served("evil", "younger", 1, edit("Albums", "n")), "Albums", "older", false, false},
		"one's own name as an id": {"it is one's own business", served("aaa", "older", 0, edit("", "Albums")),
			served("aaa", "younger", 1, edit("Albums", "n")), "Albums", "younger", true, false},
		"another's id as a name": {"the id has it", served("aaa", "older", 0, edit("album", "n")), served("evil", "younger", 1, edit("", "album")), "album", "older", true, true},
		"another's name as a name": {"the older has it", served("aaa", "older", 0, edit("", "Albums")), served("evil", "younger", 1, edit("", "Albums")),
			"Albums", "older", true, true},
		"a name that the holder left to an id": {"the id needs no name", served("aaa", "older", 0, edit("album", "n")), served("evil", "younger", 1, edit("", "album")),
			"n", "older", true, true},
		"another's metadata.name as an id": {"it is its name", served("aaa", "album", 0, nil), served("evil", "younger", 1, edit("album", "n")), "album", "album", false, false},
		"what a younger one is called by default": {"nobody else can be called so, however old", served("evil", "older", 0, edit("", "aaa/album")),
			served("aaa", "album", 1, nil), "aaa/album", "album", true, false},
		"what one would be called by default that is not there": {"it may come back", served("evil", "older", 0, nil),
			served("evil", "younger", 1, edit("", "aaa/album")), "aaa/album", "", true, true},
		"a path as a name": {"no object is called so", served("evil", "older", 0, nil), served("evil", "younger", 1, edit("", "Photos/2026")), "Photos/2026", "younger", true, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, got := catalogOf(tc.younger, tc.older), ""
			if r := c.Find(photos, tc.word); r != nil {
				got = r.Object
			}
			if got != tc.want || c.ByID(photos, tc.younger.ID) == tc.younger != tc.served {
				t.Errorf("%s: %q is %q, %d are served", tc.reason, tc.word, got, c.Len())
			}
			if taken := slices.ContainsFunc(c.Taken(tc.younger), isIDTaken); taken == tc.served {
				t.Errorf("the younger is told that its id is taken: %t", taken)
			}
			told := c.Nameless(tc.younger)
			if tc.served && told != "" != tc.nameless || strings.Contains(told, "aaa\"") {
				t.Errorf("of its name the younger is told %q", told)
			}
		})
	}
}

// TestANamespaceHasSoManyPatterns holds the bound, and that it is no way to get rid of one's neighbours'.
func TestANamespaceHasSoManyPatterns(t *testing.T) {
	var resources []*Resource
	for i := range maxPatterns + 2 {
		resources = append(resources, served("a", fmt.Sprint("r", i), 0, claiming(1000-i, fmt.Sprintf("/%d/{x}", i), fmt.Sprintf("/%d", i))))
	}
	other := served("b", "other", 0, claiming(2000, "/b/*"))
	slices.Reverse(resources)
	c := catalogOf(append(resources, other)...)
	var without, told []string
	for i, r := range resources {
		if n := maxPatterns + 1 - i; c.Matching(photos, fmt.Sprintf("/%d/1", n)) != r {
			without = append(without, r.Object)
		} else if c.Matching(photos, fmt.Sprintf("/%d", n)) != r {
			t.Errorf("%s lost a uri that is no pattern", r.Object)
		}
		for _, p := range c.Taken(r) {
			if p.Reason != v1alpha1.ReasonURITaken || p.Path != "spec.uris[0]" || !strings.Contains(p.Message, "more than 256 uris with {name} or /*") {
				t.Errorf("%s is told %+v", r.Object, p)
			}
			told = append(told, r.Object)
		}
	}
	if diff := cmp.Diff([]string{"r1", "r0"}, without); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(without, told); diff != "" {
		t.Errorf("told -want +got:\n%s", diff)
	}
	if c.Matching(photos, "/b/1") != other || len(c.Taken(other)) != 0 {
		t.Error("another namespace lost its own")
	}
}

func TestClaimed(t *testing.T) {
	now := noon.Add(time.Hour)
	at := func(minute int, uri string) v1alpha1.ClaimedURI {
		return v1alpha1.ClaimedURI{URI: uri, Since: v1alpha1.NewDateTime(noon.Add(time.Duration(minute) * time.Minute))}
	}
	type uris = []v1alpha1.ClaimedURI
	cases := map[string]struct {
		reason     string
		spec       []v1alpha1.ResourceURI
		status     uris
		kept, want uris
	}{
		"nothing":               {"", nil, nil, nil, nil},
		"the first time":        {"the claim begins now, whatever the object's age is", []v1alpha1.ResourceURI{"/b", "/a"}, nil, nil, uris{at(60, "/a"), at(60, "/b")}},
		"again":                 {"it is set once", []v1alpha1.ResourceURI{"/a"}, uris{at(5, "/a")}, uris{at(5, "/a")}, uris{at(5, "/a")}},
		"one more":              {"only that one is new", []v1alpha1.ResourceURI{"/b", "/a"}, uris{at(5, "/b")}, uris{at(5, "/b")}, uris{at(60, "/a"), at(5, "/b")}},
		"one less":              {"the claim ends with the uri", []v1alpha1.ResourceURI{"/a"}, uris{at(5, "/b"), at(6, "/a")}, uris{at(6, "/a")}, uris{at(6, "/a")}},
		"a later time":          {"it is not moved back", []v1alpha1.ResourceURI{"/a"}, uris{at(90, "/a")}, uris{at(90, "/a")}, uris{at(90, "/a")}},
		"no time":               {"the schema takes it, and it says nothing", []v1alpha1.ResourceURI{"/a"}, uris{{URI: "/a", Since: "2026-02-30T00:00:00Z"}}, nil, uris{at(60, "/a")}},
		"a placeholder renamed": {"it is another text", []v1alpha1.ResourceURI{"/{b}"}, uris{at(5, "/{a}")}, nil, uris{at(60, "/{b}")}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := album(func(o *v1alpha1.ProtectedResource) { o.Spec.URIs, o.Status.URIs = tc.spec, tc.status })
			if diff := cmp.Diff([]uris{tc.kept, tc.want}, []uris{Kept(object), Claimed(object, now)}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			r, problems := Compile(object)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			var served uris
			for _, c := range r.Claims {
				served = append(served, v1alpha1.ClaimedURI{URI: c.URI, Since: v1alpha1.NewDateTime(c.Since)})
			}
			if diff := cmp.Diff(tc.kept, sorted(served)); diff != "" || len(r.URIs) != len(tc.spec) {
				t.Errorf("served (-want +got):\n%s", diff)
			}
		})
	}
}
