package provider

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func jwtOf(edit func(*v1alpha1.JWTProvider)) *v1alpha1.JWTProvider {
	spec := &v1alpha1.JWTProvider{
		Issuer:        v1alpha1.JWTIssuer{URL: "https://issuer.example.com/a", Audiences: []v1alpha1.Audience{"registry"}},
		Prefix:        "gh:",
		ClaimMappings: v1alpha1.ClaimMappings{Username: v1alpha1.ClaimOrExpression{Claim: "sub"}},
	}
	if edit != nil {
		edit(spec)
	}
	return spec
}

func TestCompileJWT(t *testing.T) {
	issuer := func(u v1alpha1.IssuerURL) *v1alpha1.JWTProvider {
		return jwtOf(func(s *v1alpha1.JWTProvider) { s.Issuer.URL = u })
	}
	const badURL = "jwt.issuer.url must be an https URL with a host and without user, query and fragment"
	cases := map[string]struct {
		reason string
		args   *v1alpha1.JWTProvider
		want   string
	}{
		"a good one":            {"It serves.", jwtOf(nil), ""},
		"no TLS":                {"Keys would come from whoever is in between.", issuer("http://issuer.example.com"), badURL},
		"no host":               {"There is nobody to ask.", issuer("https:///a"), badURL},
		"only a port":           {"The same.", issuer("https://:443"), badURL},
		"no URL":                {"The same.", issuer(""), badURL},
		"not a URL":             {"The same.", issuer("https://a b/%zz"), badURL},
		"a user":                {"A password would be in an object that many may read.", issuer("https://u:p@issuer.example.com"), badURL},
		"a query":               {"OpenID Connect Discovery 1.0, 3.", issuer("https://issuer.example.com?a"), badURL},
		"an empty query":        {"The same.", issuer("https://issuer.example.com?"), badURL},
		"a fragment":            {"The same.", issuer("https://issuer.example.com#a"), badURL},
		"a bad discovery":       {"Keys would come from whoever is in between.", jwtOf(func(s *v1alpha1.JWTProvider) { s.Issuer.DiscoveryURL = "http://x/y" }), strings.Replace(badURL, "url", "discoveryURL", 1)},
		"no audience":           {"A token that somebody gave to another service would do.", jwtOf(func(s *v1alpha1.JWTProvider) { s.Issuer.Audiences = nil }), "jwt.issuer.audiences must name at least one audience, and no empty one"},
		"an empty audience":     {"The same.", jwtOf(func(s *v1alpha1.JWTProvider) { s.Issuer.Audiences = []v1alpha1.Audience{"a", ""} }), "jwt.issuer.audiences must name at least one audience, and no empty one"},
		"no prefix":             {"The issuer could name anybody.", jwtOf(func(s *v1alpha1.JWTProvider) { s.Prefix = "" }), "jwt.prefix must be given"},
		"Kubernetes' prefix":    {"Only the API server says who a ServiceAccount is.", jwtOf(func(s *v1alpha1.JWTProvider) { s.Prefix = "system:serviceaccount:" }), "jwt.prefix must not start with system:"},
		"an invisible prefix":   {"Two prefixes that look alike would be two namespaces of users.", jwtOf(func(s *v1alpha1.JWTProvider) { s.Prefix = "a\u200b" }), "jwt.prefix must consist of printable characters"},
		"a public issuer":       {"All the world would be the users.", issuer("https://GitLab.com:443/"), "jwt.claimValidationRules must have at least one rule: the issuer gives tokens to everybody"},
		"a host that ends like": {"It is another's.", issuer("https://notgitlab.com"), ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, problems := Compile(object(v1alpha1.IdentityProviderSpec{JWT: tc.args}), nil)
			message := ""
			for _, p := range problems {
				message += p.Message
			}
			if diff := cmp.Diff(tc.want, message); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			want := &Provider{Name: "users", UID: "u1", Generation: 3, Prefix: tc.args.Prefix, JWT: tc.args}
			if tc.want != "" {
				want = nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s\nprovider -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestPublicIssuersAreThoseOfTheSchema compares the list with the rule of the CRD, so that no issuer is forgotten in one.
func TestPublicIssuersAreThoseOfTheSchema(t *testing.T) {
	schema, err := os.ReadFile("../../config/crd/bases/tokenwright.dev_identityproviders.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(schema), "(?i)^https://(")
	inside, _, _ := strings.Cut(rest, ")")
	hosts := strings.Split(strings.NewReplacer("[.]", ".", "\n", "", " ", "").Replace(inside), "|")
	slices.Sort(hosts)
	if diff := cmp.Diff(publicIssuers, hosts); diff != "" {
		t.Errorf("-compiler +schema:\n%s", diff)
	}
}

func TestMappedNames(t *testing.T) {
	var crowd []string
	for i := range maxGroups + 1 {
		crowd = append(crowd, fmt.Sprintf("g%03d", i))
	}
	const unseen = "the name has characters that cannot be seen"
	type args struct {
		prefix, user string
		groups       []string
	}
	type want struct {
		User   string
		Groups []string
		Fault  string
	}
	cases := map[string]struct {
		reason string
		args   args
		want   want
	}{
		"names get the prefix": {
			reason: "Once and sorted; what has no name is no group.",
			args:   args{"gh:", "alice", []string{"b", "a", "", "b"}},
			want:   want{User: "gh:alice", Groups: []string{"gh:a", "gh:b"}},
		},
		"ServiceAccounts of another cluster": {
			reason: "The prefix keeps them apart from ours.",
			args:   args{"b:", "system:serviceaccount:ci:x", []string{"system:masters"}},
			want:   want{User: "b:system:serviceaccount:ci:x", Groups: []string{"b:system:masters"}},
		},
		"a user that the prefix makes Kubernetes' own": {
			reason: "Only the API server gives such names.",
			args:   args{"sys", "tem:serviceaccount:ci:x", nil},
			want:   want{Fault: "the user: names that start with system: belong to Kubernetes"},
		},
		"a group that the prefix makes Kubernetes' own": {
			reason: "The same.",
			args:   args{"system", "a", []string{":masters"}},
			want:   want{Fault: "a group: names that start with system: belong to Kubernetes"},
		},
		"no user":                 {"Somebody must ask.", args{"gh:", "", nil}, want{Fault: "the name of the user is empty"}},
		"a user with a zero byte": {"It looks like another.", args{"gh:", "a\x00", nil}, want{Fault: "the user: " + unseen}},
		"a user with spaces":      {"The same.", args{"gh:", " a", nil}, want{Fault: "the user: " + unseen}},
		"a group with a line break": {
			"Without the group, what is denied to it would not be denied.", args{"gh:", "a", []string{"good", "b\n"}}, want{Fault: "a group: " + unseen}},
		"a user of 256 bytes": {"That is the bound.", args{"gh:", strings.Repeat("a", 253), nil}, want{User: "gh:" + strings.Repeat("a", 253)}},
		"a user of 257 bytes": {"No policy could name it.", args{"gh:", strings.Repeat("a", 254), nil}, want{Fault: "the user: the name is longer than 256 bytes"}},
		"256 groups":          {"That is the bound.", args{"", "a", crowd[1:]}, want{User: "a", Groups: crowd[1:]}},
		"257 groups":          {"Every request looks for policies of each.", args{"", "a", crowd}, want{Fault: "the user has more than 256 groups"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got want
			got.User, got.Groups, got.Fault = (&Provider{Prefix: tc.args.prefix}).MappedNames(tc.args.user, tc.args.groups)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestMappedFault(t *testing.T) {
	fact := func(values ...string) map[string][]string { return map[string][]string{"example.com/x": values} }
	cases := map[string]struct {
		reason string
		uid    string
		extra  map[string][]string
		want   string
	}{
		"nothing":            {"There need be none.", "", nil, ""},
		"the bounds":         {"They are inclusive.", strings.Repeat("u", 256), fact(slices.Repeat([]string{strings.Repeat("x", 1024)}, 64)...), ""},
		"a long uid":         {"No record could hold it.", strings.Repeat("u", 257), nil, "the uid is not text of at most 256 bytes"},
		"a uid of bad UTF-8": {"The same.", "\xff", nil, "the uid is not text of at most 256 bytes"},
		"many values":        {"The same.", "", fact(make([]string, 65)...), "a fact has more than 64 values"},
		"a long value":       {"The same.", "", fact(strings.Repeat("x", 1025)), "the value of a fact is not text of at most 1024 bytes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, MappedFault(tc.uid, tc.extra)); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}
