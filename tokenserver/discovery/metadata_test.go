package discovery

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBase(t *testing.T) {
	cases := map[string]struct{ reason, issuer, prefix, want string }{
		"A host":                         {"the plain case", "https://auth.example.com", "", "https://auth.example.com"},
		"A slash behind":                 {"there is one slash before a path", "https://auth.example.com/", "", "https://auth.example.com"},
		"A path that is the prefix":      {"it is not put twice", "https://example.com/auth", "/auth", "https://example.com/auth"},
		"A path without a prefix":        {"a proxy takes it off", "https://example.com/auth", "", "https://example.com/auth"},
		"A prefix that the issuer lacks": {"the server is reached by it", "https://example.com", "/auth", "https://example.com/auth"},
		"A path that ends like it":       {"the whole is compared", "https://example.com/x/auth/", "/auth", "https://example.com/x/auth"},
		"A name":                         {"nobody can look for it", "tokenwright", "", ""},
		"Another scheme":                 {"nobody can look for it", "urn:example:auth", "", ""},
		"A query":                        {"RFC 8414, section 2", "https://example.com?a=b", "", ""},
		"A fragment":                     {"RFC 8414, section 2", "https://example.com#a", "", ""},
		"Credentials":                    {"they would be published", "https://a:b@example.com", "", ""},
		"No host":                        {"nobody can look for it", "https:///auth", "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := Base(tc.issuer, tc.prefix)
			if diff := cmp.Diff(tc.want, got); diff != "" || ok != (tc.want != "") {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	const oauth, openID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	cases := map[string]struct {
		reason, issuer, prefix string
		want                   []string
	}{
		"No path":             {"there is nothing to put", "https://a.example.com", "", []string{oauth, openID}},
		"A prefix":            {"RFC 8414, section 3: behind", "https://a.example.com/auth", "/auth", []string{oauth, openID, oauth + "/auth", openID + "/auth"}},
		"A path of a proxy's": {"who looks for it finds it if the proxy sends it here", "https://a.example.com/auth/", "", []string{oauth, openID, oauth + "/auth", openID + "/auth"}},
		"A path that is odd":  {"it must not become a pattern", "https://a.example.com/{x...}", "", []string{oauth, openID}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Paths(tc.issuer, tc.prefix, PathOAuth, PathOpenID)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
