package openid_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/openid"
)

func spec(edit func(*v1alpha1.JWTProvider)) *v1alpha1.JWTProvider {
	s := &v1alpha1.JWTProvider{
		Issuer:        v1alpha1.JWTIssuer{URL: "https://issuer.example.com", Audiences: []v1alpha1.Audience{"registry"}},
		Prefix:        "gh:",
		ClaimMappings: v1alpha1.ClaimMappings{Username: v1alpha1.ClaimOrExpression{Claim: "sub"}},
	}
	if edit != nil {
		edit(s)
	}
	return s
}

// TestCheck has what an API server would refuse and the schema cannot.
func TestCheck(t *testing.T) {
	username := func(expression v1alpha1.ClaimExpression) func(*v1alpha1.JWTProvider) {
		return func(s *v1alpha1.JWTProvider) {
			s.ClaimMappings.Username = v1alpha1.ClaimOrExpression{Expression: expression}
		}
	}
	rules := func(rules ...v1alpha1.ClaimValidationRule) func(*v1alpha1.JWTProvider) {
		return func(s *v1alpha1.JWTProvider) { s.ClaimValidationRules = rules }
	}
	cases := map[string]struct {
		reason string
		args   func(*v1alpha1.JWTProvider)
		want   string
	}{
		"a claim":       {"The smallest provider.", nil, ""},
		"an expression": {"Its type is only known when it is asked.", username("claims.sub"), ""},
		"all of it": {"Nothing is put to the names by the library.", func(s *v1alpha1.JWTProvider) {
			s.Issuer.DiscoveryURL = "https://internal.example.com/x"
			s.Issuer.Audiences, s.Issuer.AudienceMatchPolicy = []v1alpha1.Audience{"a", "b"}, v1alpha1.MatchAny
			s.ClaimMappings.Groups = &v1alpha1.ClaimOrExpression{Claim: "groups"}
			s.ClaimMappings.UID = &v1alpha1.ClaimOrExpression{Expression: "claims.sub"}
			s.ClaimMappings.Extra = []v1alpha1.ExtraMapping{{Key: "example.com/a", ValueExpression: "claims.a"}}
			s.ClaimValidationRules = []v1alpha1.ClaimValidationRule{{Claim: "hd", RequiredValue: "x"}, {Expression: "claims.x == 'y'", Message: "no"}}
			s.UserValidationRules = []v1alpha1.UserValidationRule{{Expression: "user.groups.size() > 0", Message: "no"}}
		}, ""},
		"an expression that does not compile": {"Nobody could be mapped.", username("claims."),
			"jwt.claimMappings.username.expression: Invalid value: \"claims.\": compilation failed: ERROR: <input>:1:8: Syntax error: no viable alternative at input '.'\n | claims.\n | .......^"},
		"an expression over something else": {"There is no such variable.", username("user.username"),
			"jwt.claimMappings.username.expression: Invalid value: \"user.username\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'user' (in container '')\n | user.username\n | ^"},
		"a rule that is no question": {"It would be neither true nor false.", rules(v1alpha1.ClaimValidationRule{Expression: "claims.sub + 'x'"}),
			"jwt.claimValidationRules[0].expression: Invalid value: \"claims.sub + 'x'\": must evaluate to bool"},
		"a rule twice": {"One of them was meant to be another.", rules(v1alpha1.ClaimValidationRule{Expression: "true"}, v1alpha1.ClaimValidationRule{Expression: "true"}),
			`jwt.claimValidationRules[1].expression: Duplicate value: "true"`},
		"an address that nobody verified": {"Anybody could write any address into their profile.", username("claims.email"),
			"jwt.claimMappings.username.expression: Invalid value: \"claims.email\": claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression"},
		"certificates that cannot be read": {"The content is not told.", func(s *v1alpha1.JWTProvider) {
			s.Issuer.CertificateAuthority = "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----"
		}, `jwt.issuer.certificateAuthority: Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := openid.Check(spec(tc.args)); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			if _, err := openid.NewVerifier(spec(tc.args)); (err != nil) != (tc.want != "") {
				t.Errorf("NewVerifier: %v", err)
			}
		})
	}
}
