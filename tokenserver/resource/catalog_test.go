package resource

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

const photos = "photos.example.com"

// served is a resource of the audience photos, made in the given minute.
func served(namespace, object string, minute int, edit func(*Resource)) *Resource {
	r := &Resource{
		Namespace: namespace, Object: object, UID: "uid-" + namespace + "-" + object, ID: namespace + "/" + object, Name: object, Type: DefaultType,
		Audience: photos, Scopes: []string{"view"}, Created: noon.Add(time.Duration(minute) * time.Minute),
	}
	if edit != nil {
		edit(r)
	}
	if r.Claims == nil {
		for _, u := range r.URIs {
			r.Claims = append(r.Claims, Claim{u, r.Created})
		}
	}
	return r
}

// claiming has the resource claim the uris since the given minute.
func claiming(minute int, uris ...string) func(*Resource) {
	return func(r *Resource) {
		r.URIs = append(r.URIs, uris...)
		for _, u := range uris {
			r.Claims = append(r.Claims, Claim{u, noon.Add(time.Duration(minute) * time.Minute)})
		}
	}
}

func catalogOf(resources ...*Resource) *Catalog {
	var none *Catalog
	return none.With(photos, resources)
}

func TestFind(t *testing.T) {
	byID := served("a", "one", 2, func(r *Resource) { r.ID = "album" })
	byName := served("a", "two", 1, func(r *Resource) { r.Name, r.Type, r.Scopes = "album", "folder", []string{"share", "view"} })
	younger := served("a", "three", 3, func(r *Resource) { r.Name = "holiday" })
	older := served("b", "three", 0, func(r *Resource) { r.Name = "holiday" })
	c := catalogOf(byID, byName, younger, older)
	cases := map[string]struct {
		reason string
		args   string
		want   *Resource
	}{
		"an id":             {"that is what it is for", "a/two", byName},
		"an id and a name":  {"nobody may take an id's place by a name", "album", byID},
		"a name of two":     {"the oldest has it", "holiday", older},
		"metadata.name":     {"it is no name where there is another", "three", nil},
		"what is not there": {"it is nothing", "x", nil},
		"nothing":           {"it is nothing", "", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.Find(photos, tc.args); got != tc.want {
				t.Errorf("%s: got %+v", tc.reason, got)
			}
		})
	}
	if c.Find("another.example.com", "album") != nil || c.ByID("", "album") != nil {
		t.Error("a resource of one audience is found at another")
	}
	ids := func(list []*Resource) (ids []string) {
		for _, r := range list {
			ids = append(ids, r.ID)
		}
		return ids
	}
	got := [][]string{ids(c.All(photos)), ids(c.OfType(photos, "folder")), ids(c.WithScope(photos, "share")), ids(c.WithScope(photos, "view"))}
	all := []string{"a/three", "a/two", "album", "b/three"}
	if diff := cmp.Diff([][]string{all, {"a/two"}, {"a/two"}, all}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestANilCatalogHoldsNothing(t *testing.T) {
	var c *Catalog
	if c.Len() != 0 || c.ByID(photos, "x") != nil || c.Find(photos, "x") != nil || c.All(photos) != nil || c.OfType(photos, "x") != nil ||
		c.WithScope(photos, "x") != nil || c.ByURI(photos, "/") != nil || c.Matching(photos, "/") != nil || c.Taken(served("a", "b", 0, nil)) != nil {
		t.Error("it holds something")
	}
}

func TestWithLeavesTheOldCatalogAsItIs(t *testing.T) {
	first := served("a", "x", 0, nil)
	before := catalogOf(first)
	other := served("a", "y", 0, func(r *Resource) { r.Audience = "wiki" })
	after := before.With("wiki", []*Resource{other}).With(photos, nil)
	if before.Len() != 1 || before.ByID(photos, "a/x") != first || before.ByID("wiki", "a/y") != nil {
		t.Error("the old one changed")
	}
	if after.Len() != 1 || after.ByID(photos, "a/x") != nil || after.ByID("wiki", "a/y") != other {
		t.Error("the new one does not have what it was given")
	}
}

// TestTheOldestClaimHolds also tries what a younger resource could do to look like another claim.
func TestTheOldestClaimHolds(t *testing.T) {
	uris := func(uris ...string) func(*Resource) { return func(r *Resource) { r.URIs = uris } }
	older := served("team-a", "album", 0, uris("/albums/{id}", "/albums/7", "/own/*"))
	younger := served("team-b", "thief", 1, uris("/albums/{aaa}", "/albums/7", "/own/*", "/other"))
	squatter := served("team-b", "squatter", 1, func(r *Resource) { r.ID, r.URIs = "team-a/album", []string{"/squatted"} })
	for name, c := range map[string]*Catalog{"in one order": catalogOf(older, younger, squatter), "in another": catalogOf(squatter, younger, older)} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/albums/7", "/albums/8", "/own/x"} {
				if got := c.Matching(photos, path); got != older {
					t.Errorf("%s is %+v", path, got)
				}
			}
			if c.ByURI(photos, "/albums/{aaa}") != older || c.Matching(photos, "/other") != younger || c.ByURI(photos, "/squatted") != nil || c.Len() != 2 {
				t.Error("claims hold that should not, or the reverse")
			}
			paths := func(r *Resource) (paths []string) {
				for _, p := range c.Taken(r) {
					paths = append(paths, p.Reason+" "+p.Path)
					if strings.Contains(p.Message, "team-a") && r.Namespace != "team-a" && p.Reason == v1alpha1.ReasonURITaken {
						t.Errorf("a tenant learns of another: %s", p.Message)
					}
				}
				return paths
			}
			got := [][]string{paths(older), paths(younger), paths(squatter)}
			want := [][]string{nil, {"URITaken spec.uris[0]", "URITaken spec.uris[1]", "URITaken spec.uris[2]"}, {"IDTaken spec.id"}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestANeighbourTakesNothingOutOfWhatIsHeld is the tenant who writes out a path below another's pattern, where it would fit better.
func TestANeighbourTakesNothingOutOfWhatIsHeld(t *testing.T) {
	uris := func(uris ...string) func(*Resource) { return func(r *Resource) { r.URIs = uris } }
	whole := served("team-a", "all", 2, uris("/team-a/*", "/users/{id}"))
	part := served("team-a", "part", 3, uris("/team-a/x/7"))
	thief := served("team-b", "thief", 4, uris("/team-a/y/8", "/team-a/{x}/*", "/team-a", "/users/7", "/users/*"))
	first := served("team-b", "first", 1, uris("/team-a/own/*"))
	c := catalogOf(thief, part, first, whole)
	for path, want := range map[string]*Resource{
		"/team-a/y/8": whole, "/team-a/y/9": whole, "/team-a": whole, "/users/7": whole, // the thief has none of it
		"/team-a/x/7": part, "/team-a/own/1": first, // one's own part, and what was claimed before
		"/users/7/photos": thief, // the pattern says nothing of what is below
	} {
		if got := c.Matching(photos, path); got != want {
			t.Errorf("%s is %+v, want %+v", path, got, want)
		}
	}
	var taken []string
	for _, p := range c.Taken(thief) {
		taken = append(taken, p.Path)
	}
	if diff := cmp.Diff([]string{"spec.uris[0]", "spec.uris[1]", "spec.uris[2]", "spec.uris[3]"}, taken); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(c.Taken(whole)) != 0 || len(c.Taken(part)) != 0 || len(c.Taken(first)) != 0 {
		t.Error("somebody has less than they think")
	}
}

// TestWhatWasReadFromFilesHasNoUID: then two resources are told apart by their names.
func TestWhatWasReadFromFilesHasNoUID(t *testing.T) {
	a := served("a", "x", 0, func(r *Resource) { r.UID, r.ID = "", "one" })
	b := served("b", "x", 0, func(r *Resource) { r.UID, r.ID = "", "one" })
	if c := catalogOf(b, a); c.ByID(photos, "one") != a || len(c.Taken(a)) != 0 || len(c.Taken(b)) != 1 {
		t.Error("the claim is not that of the first by name")
	}
}

func drawResource(t *rapid.T, i int) *Resource {
	draw := func(what string, words ...string) string { return rapid.SampledFrom(words).Draw(t, what) }
	r := served(draw("namespace", "a", "b"), fmt.Sprint("r", i), rapid.IntRange(0, 2).Draw(t, "age"), nil)
	if id := draw("id", "", "", "one", "two"); id != "" {
		r.ID = id
	}
	r.Name = draw("name", "one", "x", "y", "a/r0", r.Object)
	r.Type = draw("type", "album", "folder")
	for range rapid.IntRange(0, 3).Draw(t, "uris") {
		claiming(rapid.IntRange(0, 3).Draw(t, "since"), drawURI(t))(r)
	}
	return r
}

// TestTheOrderOfResourcesDoesNotMatter holds that all answers are the same, whatever order the resources came in and whatever
// was there before.
func TestTheOrderOfResourcesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var resources []*Resource
		for i := range rapid.IntRange(0, 12).Draw(t, "resources") {
			resources = append(resources, drawResource(t, i))
		}
		one := catalogOf(resources...)
		other := catalogOf(drawResource(t, 99)).With(photos, rapid.Permutation(resources).Draw(t, "order"))
		if !slices.Equal(one.All(photos), other.All(photos)) || one.Len() != other.Len() {
			t.Fatalf("other resources are served: %v, %v", one.All(photos), other.All(photos))
		}
		for _, typ := range []string{"album", "folder"} {
			if !slices.Equal(one.OfType(photos, typ), other.OfType(photos, typ)) {
				t.Fatalf("others of type %s", typ)
			}
		}
		for _, word := range []string{"one", "two", "x", "y", "a/r0", "b/r1", "r2"} {
			if one.Find(photos, word) != other.Find(photos, word) {
				t.Fatalf("%q is another", word)
			}
			if want, got := naiveFind(resources, word), one.Find(photos, word); got != want {
				t.Fatalf("%q is %+v, want %+v", word, got, want)
			}
		}
		for range 20 {
			path := drawPath(t)
			if one.Matching(photos, path) != other.Matching(photos, path) || one.ByURI(photos, path) != other.ByURI(photos, path) {
				t.Fatalf("%q is another", path)
			}
		}
		for _, r := range resources {
			if diff := cmp.Diff(one.Taken(r), other.Taken(r)); diff != "" {
				t.Fatal(diff)
			}
			if found := one.Find(photos, r.Name) == r; one.ByID(photos, r.ID) == r && found == (one.Nameless(r) != "") {
				t.Fatalf("%+v is found by its name: %t, and %q", r, found, one.Nameless(r))
			}
			// Who holds nothing is told so, and only who holds it is not.
			if holds := one.ByID(photos, r.ID) == r; holds == slices.ContainsFunc(one.Taken(r), isIDTaken) {
				t.Fatalf("%+v is served: %t", r, holds)
			}
		}
	})
}
