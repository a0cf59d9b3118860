package observe

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// TestTheAPIServerAndTheCompilerAgree holds that a resource is served if and only if an API server takes it: no tenant is
// surprised, and no file says what a cluster would refuse.
func TestTheAPIServerAndTheCompilerAgree(t *testing.T) {
	tenant(t, "uma-agree", nil)
	long := strings.Repeat("ä", 255)
	fields := map[string]struct {
		set    func(*v1alpha1.ProtectedResourceSpec, string)
		values []string
	}{
		"uri": {func(s *v1alpha1.ProtectedResourceSpec, v string) {
			s.URIs = []v1alpha1.ResourceURI{v1alpha1.ResourceURI(v)}
		}, []string{
			"/", "/*", "/a", "/a/", "/a//b", "/{a}", "/{a}/{b}/*", "/{a.b-c_1}", "/{ä}", "/{}", "/{a", "/a}", "/x{a}", "/{a}x", "/{a}{b}", "/{*}", "/a*", "/*/a", "/**",
			"/..", "/a/../b", "/./a", "/...", "/a/.b", "/a/b.", "/ä", "/a b", "/a?b", "/a#b", "/a\tb", "a", "*", "https://h/", "https://h", "https:///a", "https://{h}/a",
			"https://*/a", "https://h:1/a/{b}", "http://h/..", "ftp://h/a", "/" + long + long, "/" + long + long + "ab", "/%2e%2e/a",
			"/{a}/{b}/{c}/{d}/*", "/{a}/{b}/{c}/{d}/{e}", "/{a}" + strings.Repeat("/a", 15), "/{a}" + strings.Repeat("/a", 16), strings.Repeat("/a", 200),
		}},
		"id": {func(s *v1alpha1.ProtectedResourceSpec, v string) { s.ID = v }, []string{
			"a", "7", ".a", "a.", "a~b_c-d", "a/b", "a#b", "ä", "a b", strings.Repeat("a", 128), strings.Repeat("a", 129),
		}},
		"displayName": {func(s *v1alpha1.ProtectedResourceSpec, v string) { s.DisplayName = v }, []string{
			"a", "Ä b/c", "a\nb", "a\x7f", long + "a", long + "aa",
		}},
		"type": {func(s *v1alpha1.ProtectedResourceSpec, v string) { s.Type = v }, []string{
			"a", "urn:x/y.z-1_2", "urn:", ":a", "ä", "repository", "registry", "nats", "oauth", "repositoryx", strings.Repeat("a", 128), strings.Repeat("a", 129),
		}},
		"owner": {func(s *v1alpha1.ProtectedResourceSpec, v string) { s.Owner = v }, []string{
			"a", "corp:a@b", "system:", "system:anonymous", "system:masters", "system:serviceaccount:a:b", "system:serviceaccount:a:b.c", "system:serviceaccount:a:b..c",
			"system:serviceaccount:a.b:c", "system:serviceaccount:a:b:c", "system:serviceaccount:a:", "system:serviceaccount:A:b", "systemic", long + "a", long + "aa",
		}},
		"scope": {func(s *v1alpha1.ProtectedResourceSpec, v string) {
			s.Scopes = []v1alpha1.ResourceScope{v1alpha1.ResourceScope(v)}
		}, []string{
			"a", "a:b/c.d_e-f", "*", "-a", "a b", "ä", strings.Repeat("a", 64), strings.Repeat("a", 65),
		}},
		"audience": {func(s *v1alpha1.ProtectedResourceSpec, v string) { s.Audience = v1alpha1.Audience(v) }, []string{
			"a", "a b", " a", "a ", "ä", "https://a/b", strings.Repeat("a", 253), strings.Repeat("a", 254),
		}},
		"attribute": {func(s *v1alpha1.ProtectedResourceSpec, v string) {
			s.Attributes = []v1alpha1.ResourceAttribute{{Key: v, Values: []string{v + v + v + v}}}
		}, []string{"a", long + "a", long + "ab"}},
	}
	for field, tc := range fields {
		taken := 0
		for i, value := range tc.values {
			r := album("uma-agree", fmt.Sprint("r", i), "agree.example.com", "alice")
			tc.set(&r.Spec, value)
			_, problems := resource.Compile(r.DeepCopy())
			err := plane.Client.Create(t.Context(), r, client.DryRunAll)
			if err != nil && !apierrors.IsInvalid(err) {
				t.Fatal(err)
			}
			if (err == nil) != (len(problems) == 0) {
				t.Errorf("%s %q: the API server says %v, the compiler %+v", field, value, err, problems)
			}
			if err == nil {
				taken++
			}
		}
		if taken == 0 || taken == len(tc.values) {
			t.Errorf("%s: %d of %d values are taken, which shows nothing", field, taken, len(tc.values))
		}
	}
}
