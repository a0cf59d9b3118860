package door

import (
	"strings"
	"testing"
	"unicode/utf8"

	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// soundResource returns a ProtectedResource that both accept.
func soundResource() *v1alpha1.ProtectedResource {
	r := &v1alpha1.ProtectedResource{}
	r.APIVersion, r.Kind, r.Namespace, r.Name = v1alpha1.GroupVersion.String(), "ProtectedResource", "team-a", "album"
	r.Spec.Scopes, r.Spec.Audience = []v1alpha1.ResourceScope{"view"}, "photos.example.com"
	return r
}

// fields are the texts of a resource that have rules of their own.
var fields = map[string]func(*v1alpha1.ProtectedResource, string){
	"id":          func(r *v1alpha1.ProtectedResource, v string) { r.Spec.ID = v },
	"displayName": func(r *v1alpha1.ProtectedResource, v string) { r.Spec.DisplayName = v },
	"type":        func(r *v1alpha1.ProtectedResource, v string) { r.Spec.Type = v },
	"uri": func(r *v1alpha1.ProtectedResource, v string) {
		r.Spec.URIs = []v1alpha1.ResourceURI{v1alpha1.ResourceURI(v)}
	},
	"scope": func(r *v1alpha1.ProtectedResource, v string) {
		r.Spec.Scopes = []v1alpha1.ResourceScope{v1alpha1.ResourceScope(v)}
	},
	"owner":    func(r *v1alpha1.ProtectedResource, v string) { r.Spec.Owner = v },
	"audience": func(r *v1alpha1.ProtectedResource, v string) { r.Spec.Audience = v1alpha1.Audience(v) },
	"key": func(r *v1alpha1.ProtectedResource, v string) {
		r.Spec.Attributes = []v1alpha1.ResourceAttribute{{Key: v}}
	},
	"value": func(r *v1alpha1.ProtectedResource, v string) {
		r.Spec.Attributes = []v1alpha1.ResourceAttribute{{Key: "k", Values: []string{v}}}
	},
}

// words are texts that one rule or another stumbles over.
var words = []string{
	"", "a", "album-7", "..", ".", "a/b", "team-b/album", "a b", "a\n", "ä", "*", "A", "urn:x:album", "album/", "-a", "a%2Fb", "a#b", "repository", "registry", "nats", "oauth",
	"system:", "system:anonymous", "system:serviceaccount:a:b", "system:serviceaccount:a:b.c", "system:serviceaccount:a:", "system:serviceaccount:a:b:c", "system:serviceaccount:a.b:c",
	"/", "/a", "/a/", "//", "/a//b", "/*", "/a/*", "/a*", "/*/a", "/**", "/{a}", "/{a}/*", "/{a}b", "/{}", "/a{b}", "/{a}/{b}/{c}/{d}", "/{a}/{b}/{c}/{d}/{e}", "/..", "/a/../b", "/./a", "/a/..b",
	"http://x/a", "https://x", "https://x/", "https://x/{a}/../b", "https://*/a", "HTTPS://x/a", "ftp://x/a", "https://x:8080/a", "https://u@x/a", "https://é/a", "/a?b", "/a#b", "/a b", "/\u2003", "/{é}",
	"/{a}" + strings.Repeat("/b", 15), "/{a}" + strings.Repeat("/b", 16), strings.Repeat("/b", 40), strings.Repeat("é", 128), strings.Repeat("a", 64), strings.Repeat("a", 65),
	strings.Repeat("a", 128), strings.Repeat("a", 129), strings.Repeat("a", 253), strings.Repeat("a", 254), strings.Repeat("é", 256), strings.Repeat("é", 257), "/" + strings.Repeat("é", 511),
	"/" + strings.Repeat("é", 512), strings.Repeat("é", 1024), strings.Repeat("é", 1025), "\u0000", "\u007f", "\u0085", " a", "a ", "𝒳",
}

// TestResourcesAtTheDoor puts each word into each field.
func TestResourcesAtTheDoor(t *testing.T) {
	d := open(t, "protectedresources")
	accepted := 0
	for _, name := range []string{"id", "owner", "type", "uri"} {
		for _, word := range words {
			if agreeOnResource(t, t, d, name, word) {
				accepted++
			}
		}
	}
	if accepted < len(words) {
		t.Errorf("only %d of %d are accepted: this shows too little", accepted, len(words)*len(fields))
	}
}

// FuzzResources holds that the schema lets in what the compiler accepts and nothing else: what came in and is not served would
// have to be looked for, and what is refused at the door and would be accepted from a file is one rule in two places.
func FuzzResources(f *testing.F) {
	d := open(f, "protectedresources")
	for _, name := range []string{"id", "owner", "type", "uri"} {
		for _, word := range words {
			f.Add(name, word)
		}
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		if fields[name] == nil || !utf8.ValidString(text) || len(text) > 5000 {
			return // no JSON can hold it, or it is refused for its length alone
		}
		agreeOnResource(t, t, d, name, text)
	})
}

// agreeOnResource demands that both accept the text in the field, or both refuse it, and says which.
func agreeOnResource(t interface{ Fatalf(string, ...any) }, tb testing.TB, d *door, name, text string) bool {
	r := soundResource()
	fields[name](r, text)
	refused, _ := d.try(tb, r)
	_, problems := resource.Compile(r)
	if (len(refused) > 0) != (len(problems) > 0) {
		t.Fatalf("%s %q: at the door %v, behind it %s", name, text, refused.ToAggregate(), told(problems))
	}
	return len(refused) == 0
}

// TestTheLargestResourceFitsTheBudgetOfARequest has everything at its bounds, with all that makes a rule dear.
func TestTheLargestResourceFitsTheBudgetOfARequest(t *testing.T) {
	r := soundResource()
	r.Spec.ID, r.Spec.Type, r.Spec.Owner = strings.Repeat("i", 128), strings.Repeat("t", 128), "system:serviceaccount:"+strings.Repeat("n", 63)+":"+strings.Repeat("s", 170)
	r.Spec.URIs, r.Spec.Scopes = nil, nil
	for i := range 64 {
		r.Spec.Scopes = append(r.Spec.Scopes, v1alpha1.ResourceScope(strings.Repeat("s", 62)+string(rune('a'+i/26))+string(rune('a'+i%26))))
		if i < 32 {
			u := strings.Repeat("/{aaaaaaaa}", 4) + "/" + string(rune('a'+i/26)) + string(rune('a'+i%26))
			r.Spec.URIs = append(r.Spec.URIs, v1alpha1.ResourceURI(u+strings.Repeat("é", 510-len(u))+"/*"))
		}
	}
	if _, problems := resource.Compile(r); len(problems) > 0 {
		t.Fatalf("the compiler does not accept it, so that it shows nothing: %s", told(problems))
	}
	refused, cost := open(t, "protectedresources").try(t, r)
	t.Logf("%d of %d", cost, celconfig.RuntimeCELCostBudget)
	if len(refused) > 0 {
		t.Errorf("refused: %v", refused.ToAggregate())
	}
}
