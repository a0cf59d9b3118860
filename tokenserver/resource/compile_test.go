package resource

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func album(edit func(*v1alpha1.ProtectedResource)) *v1alpha1.ProtectedResource {
	o := &v1alpha1.ProtectedResource{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "album-7", UID: "u", CreationTimestamp: metav1.NewTime(noon)},
		Spec:       v1alpha1.ProtectedResourceSpec{Audience: "photos.example.com", Scopes: []v1alpha1.ResourceScope{"view", "delete"}},
	}
	if edit != nil {
		edit(o)
	}
	return o
}

func TestCompile(t *testing.T) {
	got, problems := Compile(album(func(o *v1alpha1.ProtectedResource) {
		o.Spec.Owner, o.Spec.OwnerManagedAccess = "alice", v1alpha1.Allowed
		o.Spec.URIs = []v1alpha1.ResourceURI{"/albums/7", "/albums/7/*"}
		o.Spec.Attributes = []v1alpha1.ResourceAttribute{{Key: "year", Values: []string{"2026"}}}
	}))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := &Resource{
		Namespace: "team-a", Object: "album-7", UID: "u", ID: "team-a/album-7", Name: "album-7", Type: "resource", Audience: "photos.example.com",
		Owner: "alice", OwnerManaged: true, Scopes: []string{"delete", "view"}, URIs: []string{"/albums/7", "/albums/7/*"},
		Attributes: map[string][]string{"year": {"2026"}}, Created: noon,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !got.Has("view") || got.Has("share") {
		t.Error("the scopes are others")
	}
}

func TestAResourceWithoutAnOwnerIsManagedByNobody(t *testing.T) {
	got, _ := Compile(album(func(o *v1alpha1.ProtectedResource) { o.Spec.OwnerManagedAccess = v1alpha1.Allowed }))
	if got == nil || got.OwnerManaged || got.OwnerPolicy() != nil {
		t.Errorf("%+v", got)
	}
}

func TestWhatDoesNotCompileIsNotServed(t *testing.T) {
	type edit = func(*v1alpha1.ProtectedResource)
	many := func(n int) (list []v1alpha1.ResourceScope) {
		for i := range n {
			list = append(list, v1alpha1.ResourceScope("s"+strings.Repeat("x", i/26)+string(rune('a'+i%26))))
		}
		return list
	}
	cases := map[string]struct {
		reason string
		args   edit
		want   string // the path
	}{
		"no namespace":                {"its id would be one that somebody may give itself", func(o *v1alpha1.ProtectedResource) { o.Namespace = "" }, "metadata.namespace"},
		"a namespace with a slash":    {"its id would be another's", func(o *v1alpha1.ProtectedResource) { o.Namespace = "a/b" }, "metadata.namespace"},
		"a name with stars":           {"policies would read them", func(o *v1alpha1.ProtectedResource) { o.Name = "*" }, "metadata.name"},
		"an id with a slash":          {"it would be another's that has none", func(o *v1alpha1.ProtectedResource) { o.Spec.ID = "team-b/album" }, "spec.id"},
		"an id with a hash":           {"permissions are asked for as id#scope", func(o *v1alpha1.ProtectedResource) { o.Spec.ID = "a#view" }, "spec.id"},
		"an id that begins oddly":     {"the schema's pattern", func(o *v1alpha1.ProtectedResource) { o.Spec.ID = ".." }, "spec.id"},
		"an id of 129":                {"the schema's bound", func(o *v1alpha1.ProtectedResource) { o.Spec.ID = strings.Repeat("a", 129) }, "spec.id"},
		"a name of 257":               {"the schema's bound", func(o *v1alpha1.ProtectedResource) { o.Spec.DisplayName = strings.Repeat("ä", 257) }, "spec.displayName"},
		"a name of two lines":         {"it goes into logs and terminals", func(o *v1alpha1.ProtectedResource) { o.Spec.DisplayName = "a\nb" }, "spec.displayName"},
		"a name that is no text":      {"it goes into JSON", func(o *v1alpha1.ProtectedResource) { o.Spec.DisplayName = "\xff" }, "spec.displayName"},
		"type repository":             {"it would be the registry's", func(o *v1alpha1.ProtectedResource) { o.Spec.Type = "repository" }, "spec.type"},
		"type oauth":                  {"it would be the server's own functions", func(o *v1alpha1.ProtectedResource) { o.Spec.Type = "oauth" }, "spec.type"},
		"a type that ends in a colon": {"the schema's pattern", func(o *v1alpha1.ProtectedResource) { o.Spec.Type = "urn:" }, "spec.type"},
		"a type of 129":               {"the schema's bound", func(o *v1alpha1.ProtectedResource) { o.Spec.Type = strings.Repeat("a", 129) }, "spec.type"},
		"33 uris": {"the schema's bound", func(o *v1alpha1.ProtectedResource) {
			for _, s := range many(33) {
				o.Spec.URIs = append(o.Spec.URIs, v1alpha1.ResourceURI("/"+s))
			}
		}, "spec.uris"},
		"a uri twice":                {"the schema's set", func(o *v1alpha1.ProtectedResource) { o.Spec.URIs = []v1alpha1.ResourceURI{"/a", "/a"} }, "spec.uris[1]"},
		"no scopes":                  {"it would mean nothing", func(o *v1alpha1.ProtectedResource) { o.Spec.Scopes = nil }, "spec.scopes"},
		"65 scopes":                  {"the schema's bound", func(o *v1alpha1.ProtectedResource) { o.Spec.Scopes = many(65) }, "spec.scopes"},
		"scope *":                    {"it would be every scope that anybody asks for", func(o *v1alpha1.ProtectedResource) { o.Spec.Scopes[0] = "*" }, "spec.scopes[0]"},
		"a scope twice":              {"the schema's set", func(o *v1alpha1.ProtectedResource) { o.Spec.Scopes[1] = "view" }, "spec.scopes[1]"},
		"the anonymous user":         {"everybody would own it", func(o *v1alpha1.ProtectedResource) { o.Spec.Owner = "system:anonymous" }, "spec.owner"},
		"a reserved owner":           {"no such user exists, or one who must not own things", func(o *v1alpha1.ProtectedResource) { o.Spec.Owner = "system:masters" }, "spec.owner"},
		"an odd ServiceAccount":      {"no such user exists", func(o *v1alpha1.ProtectedResource) { o.Spec.Owner = "system:serviceaccount:team a:ci" }, "spec.owner"},
		"an owner of 257":            {"the schema's bound", func(o *v1alpha1.ProtectedResource) { o.Spec.Owner = strings.Repeat("a", 257) }, "spec.owner"},
		"an access that is no word":  {"what is not understood must not be Allowed", func(o *v1alpha1.ProtectedResource) { o.Spec.OwnerManagedAccess = "Yes" }, "spec.ownerManagedAccess"},
		"no audience":                {"it would be nobody's", func(o *v1alpha1.ProtectedResource) { o.Spec.Audience = "" }, "spec.audience"},
		"an audience with an end":    {"the schema's pattern", func(o *v1alpha1.ProtectedResource) { o.Spec.Audience = "a " }, "spec.audience"},
		"33 attributes":              {"the schema's bound", func(o *v1alpha1.ProtectedResource) { o.Spec.Attributes = make([]v1alpha1.ResourceAttribute, 33) }, "spec.attributes"},
		"an attribute without a key": {"the schema's bound", func(o *v1alpha1.ProtectedResource) { o.Spec.Attributes = make([]v1alpha1.ResourceAttribute, 1) }, "spec.attributes[0].key"},
		"an attribute twice": {"the schema's map", func(o *v1alpha1.ProtectedResource) {
			o.Spec.Attributes = []v1alpha1.ResourceAttribute{{Key: "a"}, {Key: "a"}}
		}, "spec.attributes[1].key"},
		"65 values": {"the schema's bound", func(o *v1alpha1.ProtectedResource) {
			o.Spec.Attributes = []v1alpha1.ResourceAttribute{{Key: "a", Values: make([]string, 65)}}
		}, "spec.attributes[0].values"},
		"a value of 1025": {"the schema's bound", func(o *v1alpha1.ProtectedResource) {
			o.Spec.Attributes = []v1alpha1.ResourceAttribute{{Key: "a", Values: []string{strings.Repeat("a", 1025)}}}
		}, "spec.attributes[0].values[0]"},
		"attributes of 8193 characters": {"every server has them in memory", func(o *v1alpha1.ProtectedResource) {
			o.Spec.Attributes = []v1alpha1.ResourceAttribute{
				{Key: "a", Values: slices.Repeat([]string{strings.Repeat("é", 1023)}, 8)}, {Key: "b", Values: []string{"1234567"}},
			}
		}, "spec.attributes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, problems := Compile(album(tc.args))
			if got != nil || len(problems) != 1 || problems[0].Path != tc.want || problems[0].Message == "" {
				t.Errorf("%s\nserved: %v, problems: %+v, want one at %s", tc.reason, got != nil, problems, tc.want)
			}
		})
	}
}

func TestURIProblem(t *testing.T) {
	good := []string{
		"/", "/*", "/albums/7", "/albums/{id}", "/{a}/{b}/*", "/albums/", "/a//b", "/ä", "/a%2Fb", "/...", "/a.b", "https://h/", "https://h/a/{x}/*",
		"/{a}/{b}/{c}/{d}/*", "/{a}" + strings.Repeat("/a", 15), strings.Repeat("/a", 200) + "/*",
		"http://h:8080/x",
		"/" + strings.Repeat("ä", 511),
	}
	for _, uri := range good {
		if problem := URIProblem(uri); problem != "" {
			t.Errorf("%q: %s", uri, problem)
		}
	}
	bad := map[string]string{
		"":                                "it is nothing",
		"albums":                          "it is no path",
		"ftp://h/a":                       "it is no URL of a resource server",
		"https://":                        "it has no host",
		"https://h":                       "it has no path",
		"https:///a":                      "it has no host",
		"https://{h}/a":                   "it would be any host",
		"https://*/a":                     "it would be any host",
		"/a?b":                            "a query is no part of where it is",
		"/a#b":                            "nor is a fragment",
		"/a b":                            "no request has a blank",
		"/a\nb":                           "no request has a line end",
		"/a\x7f":                          "no request has one",
		"/\xff":                           "it would be a placeholder of the catalog's own",
		"/a*":                             "a star is a whole segment",
		"/*/a":                            "a star is the last segment",
		"/**":                             "a star is one",
		"/a/{id":                          "a brace without its other",
		"/a/id}":                          "a brace without its other",
		"/a/{}":                           "a placeholder has a name",
		"/a/x{id}":                        "a placeholder is a whole segment",
		"/a/{id}.png":                     "a placeholder is a whole segment",
		"/a/{x}{y}":                       "a placeholder is a whole segment",
		"/a/{x{y}":                        "a placeholder has a name",
		"/a/../b":                         "no cleaned path has it",
		"/a/.":                            "no cleaned path has it",
		"/" + strings.Repeat("a", 512):    "it is too long",
		"/a/{" + "\u00e4" + "}":           "a placeholder's name is of letters that everybody types",
		"/{a}/{b}/{c}/{d}/{e}":            "it makes others wait",
		"/{a}" + strings.Repeat("/a", 16): "it makes others wait",
		"/a/{*}":                          "a star is a whole segment",
	}
	for uri, reason := range bad {
		if URIProblem(uri) == "" {
			t.Errorf("%q is taken, and %s", uri, reason)
		}
	}
}
