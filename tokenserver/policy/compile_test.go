package policy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// sound is a policy without problems, of the platform's or of namespace team-a.
func sound(namespace string) object {
	return object{namespace: namespace, name: "p", spec: v1alpha1.PolicySpec{
		Subjects: []v1alpha1.Subject{{Kind: v1alpha1.SubjectGroup, Name: "system:authenticated"}},
		Rules:    rules("repository", "team-a/**", "pull", "push"),
	}}
}

func TestProblems(t *testing.T) {
	subject := func(kind v1alpha1.SubjectKind, namespace, name string) func(*v1alpha1.PolicySpec) {
		return func(s *v1alpha1.PolicySpec) {
			s.Subjects = append(s.Subjects, v1alpha1.Subject{Kind: kind, Namespace: namespace, Name: name})
		}
	}
	rule := func(typ, name string, actions ...v1alpha1.Action) func(*v1alpha1.PolicySpec) {
		return func(s *v1alpha1.PolicySpec) { s.Rules = append(s.Rules, rules(typ, name, actions...)...) }
	}
	when := func(w v1alpha1.When) func(*v1alpha1.PolicySpec) {
		return func(s *v1alpha1.PolicySpec) { s.When = &w }
	}
	cases := map[string]struct {
		namespace string
		change    func(*v1alpha1.PolicySpec)
		want      []Problem
	}{
		"the platform's sound policy":           {change: func(*v1alpha1.PolicySpec) {}},
		"a tenant's sound policy":               {namespace: "team-a", change: func(*v1alpha1.PolicySpec) {}},
		"a deny":                                {change: func(s *v1alpha1.PolicySpec) { s.Effect = "Deny" }},
		"an unknown effect":                     {change: func(s *v1alpha1.PolicySpec) { s.Effect = "deny" }, want: []Problem{{Reason: "InvalidAction", Path: "spec.effect"}}},
		"a ServiceAccount":                      {change: subject("ServiceAccount", "team-a", "ci.x")},
		"a ServiceAccount's user":               {change: subject("User", "", "system:serviceaccount:team-a:ci")},
		"a ServiceAccounts' group":              {change: subject("Group", "", "system:serviceaccounts:team-a")},
		"no subjects":                           {change: func(s *v1alpha1.PolicySpec) { s.Subjects = nil }, want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects"}}},
		"a subject without a name":              {change: subject("User", "", ""), want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[1].name"}}},
		"a subject of an unknown kind":          {change: subject("Robot", "", "a"), want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[1].kind"}}},
		"a ServiceAccount without a namespace":  {change: subject("ServiceAccount", "", "ci"), want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[1].namespace"}}},
		"a ServiceAccount's name with a colon":  {change: subject("ServiceAccount", "a", "b:c"), want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[1].name"}}},
		"a ServiceAccount's namespace with one": {change: subject("ServiceAccount", "a:b", "c"), want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[1].namespace"}}},
		"a group with a namespace":              {change: subject("Group", "a", "g"), want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[1].namespace"}}},
		"a system user that nobody is":          {change: subject("User", "", "system:admin"), want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[1].name"}}},
		"a ServiceAccount's user cut short":     {change: subject("User", "", "system:serviceaccount:team-a"), want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[1].name"}}},
		"a system group that nobody is in":      {change: subject("Group", "", "system:masters"), want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[1].name"}}},
		"a misspelt system group":               {change: subject("Group", "", "system:authenticatd"), want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[1].name"}}},
		"no rules":                              {change: func(s *v1alpha1.PolicySpec) { s.Rules = nil }, want: []Problem{{Reason: "InvalidName", Path: "spec.rules"}}},
		"no rules of a tenant's":                {namespace: "team-a", change: func(s *v1alpha1.PolicySpec) { s.Rules = nil }, want: []Problem{{Reason: "InvalidName", Path: "spec.rules"}}},
		"a rule without a type":                 {change: rule("", "a", "pull"), want: []Problem{{Reason: "InvalidName", Path: "spec.rules[1].type"}}},
		"a rule without names":                  {change: func(s *v1alpha1.PolicySpec) { s.Rules[0].Names = nil }, want: []Problem{{Reason: "InvalidName", Path: "spec.rules[0].names"}}},
		"a rule without actions":                {change: rule("repository", "a"), want: []Problem{{Reason: "InvalidAction", Path: "spec.rules[1].actions"}}},
		"a broken name":                         {change: rule("repository", "a//b", "pull"), want: []Problem{{Reason: "InvalidName", Path: "spec.rules[1].names[0]"}}},
		"an unknown placeholder":                {change: rule("repository", "${account}/x", "pull"), want: []Problem{{Reason: "InvalidName", Path: "spec.rules[1].names[0]"}}},
		"an unclosed placeholder":               {change: rule("repository", "${subject.username", "pull"), want: []Problem{{Reason: "InvalidName", Path: "spec.rules[1].names[0]"}}},
		"too many stars":                        {change: rule("repository", "*/*/*/*/*", "pull"), want: []Problem{{Reason: "InvalidName", Path: "spec.rules[1].names[0]"}}},
		"an audience as name":                   {change: rule("oauth", "https://a.example.com:8443/b//c", "introspect")},
		"a subject of NATS as name":             {change: rule("nats", "a.*.>", "publish")},
		"a subject of NATS that is none":        {change: rule("nats", "a*", "publish"), want: []Problem{{Reason: "InvalidName", Path: "spec.rules[1].names[0]"}}},
		"a resource's name":                     {change: rule("https://photos.example/album", "a/b/**", "read")},
		"an action with a space":                {change: rule("repository", "a", "pull push"), want: []Problem{{Reason: "InvalidAction", Path: "spec.rules[1].actions[0]"}}},
		"an action with a star in it":           {change: rule("repository", "a", "pu*"), want: []Problem{{Reason: "InvalidAction", Path: "spec.rules[1].actions[0]"}}},
		"an action that NATS does not know":     {change: rule("nats", "a", "publish", "pull"), want: []Problem{{Reason: "InvalidAction", Path: "spec.rules[1].actions[1]"}}},
		"an action that OAuth does not know":    {change: rule("oauth", "a", "pull"), want: []Problem{{Reason: "InvalidAction", Path: "spec.rules[1].actions[0]"}}},
		"a type that a tenant may not speak of": {namespace: "team-a", change: rule("registry", "catalog", "*"), want: []Problem{{Reason: "OutsideNamespace", Path: "spec.rules[1].type"}}},
		"an audience of a tenant's":             {namespace: "team-a", change: rule("oauth", "*", "introspect"), want: []Problem{{Reason: "OutsideNamespace", Path: "spec.rules[1].type"}}},
		"a subject of NATS of a tenant's":       {namespace: "team-a", change: rule("nats", "team-a.>", "publish"), want: []Problem{{Reason: "OutsideNamespace", Path: "spec.rules[1].type"}}},
		"a resource of a tenant's":              {namespace: "team-a", change: rule("album", "**", "read")},
		"a name outside":                        {namespace: "team-a", change: rule("repository", "team-b/x", "pull"), want: []Problem{{Reason: "OutsideNamespace", Path: "spec.rules[1].names[0]"}}},
		"anonymous may pull": {namespace: "team-a", change: func(s *v1alpha1.PolicySpec) {
			s.Subjects[0].Name = "system:unauthenticated"
			s.Rules[0].Actions = []v1alpha1.Action{"pull"}
		}},
		"anonymous may not push": {namespace: "team-a", change: subject("Group", "", "system:unauthenticated"), want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[1]"}}},
		"anonymous may not have all actions": {namespace: "team-a", change: func(s *v1alpha1.PolicySpec) {
			s.Subjects[0].Name = "system:unauthenticated"
			s.Rules[0].Actions = []v1alpha1.Action{"*"}
		}, want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[0]"}}},
		"anonymous may not read other resources": {namespace: "team-a", change: func(s *v1alpha1.PolicySpec) {
			s.Subjects[0].Name = "system:unauthenticated"
			s.Rules = rules("album", "x", "read")
		}, want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[0]"}}},
		"the anonymous user may not push":         {namespace: "team-a", change: subject("User", "", "system:anonymous"), want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects[1]"}}},
		"the platform may let anonymous push":     {change: subject("Group", "", "system:unauthenticated")},
		"a tenant may deny anonymous all":         {namespace: "team-a", change: func(s *v1alpha1.PolicySpec) { s.Effect = "Deny"; s.Subjects[0].Name = "system:unauthenticated" }},
		"ranges of addresses":                     {change: when(v1alpha1.When{SourceRanges: []v1alpha1.CIDR{"10.0.0.0/8", "fd00::/8", "10.0.0.1/8"}})},
		"an address without a range":              {change: when(v1alpha1.When{SourceRanges: []v1alpha1.CIDR{"10.0.0.0/8", "10.0.0.1"}}), want: []Problem{{Reason: "InvalidCondition", Path: "spec.when.sourceRanges[1]"}}},
		"a range of mapped addresses":             {change: when(v1alpha1.When{SourceRanges: []v1alpha1.CIDR{"::ffff:10.0.0.0/104"}}), want: []Problem{{Reason: "InvalidCondition", Path: "spec.when.sourceRanges[0]"}}},
		"a day that is none":                      {change: when(v1alpha1.When{NotBefore: "2026-02-30T00:00:00Z"}), want: []Problem{{Reason: "InvalidCondition", Path: "spec.when.notBefore"}}},
		"a time in words":                         {change: when(v1alpha1.When{NotAfter: "soon"}), want: []Problem{{Reason: "InvalidCondition", Path: "spec.when.notAfter"}}},
		"an end before the start":                 {change: when(v1alpha1.When{NotBefore: "2026-02-01T00:00:00Z", NotAfter: "2026-01-01T00:00:00Z"}), want: []Problem{{Reason: "InvalidCondition", Path: "spec.when.notAfter"}}},
		"a misspelt field in CEL":                 {change: when(v1alpha1.When{Expression: "subject.nope == 'a'"}), want: []Problem{{Reason: "InvalidExpression", Path: "spec.when.expression"}}},
		"CEL that is no bool":                     {change: when(v1alpha1.When{Expression: "'a'"}), want: []Problem{{Reason: "InvalidExpression", Path: "spec.when.expression"}}},
		"each problem is told, in the same order": {change: func(s *v1alpha1.PolicySpec) { s.Subjects, s.When = nil, &v1alpha1.When{Expression: "1"} }, want: []Problem{{Reason: "InvalidSubject", Path: "spec.subjects"}, {Reason: "InvalidExpression", Path: "spec.when.expression"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := sound(c.namespace)
			c.change(&o.spec)
			p, got := o.compile()
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Problem{}, "Message")); diff != "" {
				t.Error(diff, got)
			}
			for _, problem := range got {
				if problem.Message == "" {
					t.Errorf("no message at %s", problem.Path)
				}
			}
			if p == nil || p.Ref() != o.ref() {
				t.Errorf("got policy %+v", p)
			}
		})
	}
}

func TestClusterProblems(t *testing.T) {
	claims := func(claims ...v1alpha1.Claim) func(*v1alpha1.ClusterAccessPolicySpec) {
		return func(s *v1alpha1.ClusterAccessPolicySpec) { s.Claims = claims }
	}
	value := func(text string) v1alpha1.ClaimValue { return v1alpha1.ClaimValue{Raw: []byte(text)} }
	offline := func(lifetime v1alpha1.Duration, nonExpiring v1alpha1.Permission) func(*v1alpha1.ClusterAccessPolicySpec) {
		return func(s *v1alpha1.ClusterAccessPolicySpec) {
			s.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: lifetime, NonExpiring: nonExpiring}
		}
	}
	cases := map[string]struct {
		change func(*v1alpha1.ClusterAccessPolicySpec)
		want   []Problem
	}{
		"a claim":                 {change: claims(v1alpha1.Claim{Name: "prvd", Value: value(`{"permissions": 415}`)})},
		"a claim without a value": {change: claims(v1alpha1.Claim{Name: "a"})},
		"claims instead of rules": {change: func(s *v1alpha1.ClusterAccessPolicySpec) {
			s.Rules = nil
			s.Claims = []v1alpha1.Claim{{Name: "a", Value: value("1")}}
		}},
		"a claim without a name":        {change: claims(v1alpha1.Claim{Value: value("1")}), want: []Problem{{Reason: "InvalidClaim", Path: "spec.claims[0].name"}}},
		"the same claim twice":          {change: claims(v1alpha1.Claim{Name: "a"}, v1alpha1.Claim{Name: "a"}), want: []Problem{{Reason: "InvalidClaim", Path: "spec.claims[1].name"}}},
		"a value that is not JSON":      {change: claims(v1alpha1.Claim{Name: "a", Value: value("{")}), want: []Problem{{Reason: "InvalidClaim", Path: "spec.claims[0].value"}}},
		"two values":                    {change: claims(v1alpha1.Claim{Name: "a", Value: value("1 2")}), want: []Problem{{Reason: "InvalidClaim", Path: "spec.claims[0].value"}}},
		"a value of 4 KiB":              {change: claims(v1alpha1.Claim{Name: "a", Value: value(`"` + strings.Repeat("x", 4094) + `"`)})},
		"a value of more than 4 KiB":    {change: claims(v1alpha1.Claim{Name: "a", Value: value(`"` + strings.Repeat("x", 4095) + `"`)}), want: []Problem{{Reason: "InvalidClaim", Path: "spec.claims[0].value"}}},
		"a value of a megabyte":         {change: claims(v1alpha1.Claim{Name: "a", Value: value(strings.Repeat("[", 1<<20))}), want: []Problem{{Reason: "InvalidClaim", Path: "spec.claims[0].value"}}},
		"a value that is nested deeply": {change: claims(v1alpha1.Claim{Name: "a", Value: value(strings.Repeat("[", 20_000))}), want: []Problem{{Reason: "InvalidClaim", Path: "spec.claims[0].value"}}},
		"a claim like a registered one": {change: claims(v1alpha1.Claim{Name: "Subject", Value: value("1")})},
		"a claim below another domain":  {change: claims(v1alpha1.Claim{Name: "example.com/tokenwright.dev/x", Value: value("1")})},
		"claims of a deny": {change: func(s *v1alpha1.ClusterAccessPolicySpec) { s.Effect = "Deny"; s.Claims = []v1alpha1.Claim{{Name: "a"}} },
			want: []Problem{{Reason: "InvalidClaim", Path: "spec.claims"}}},
		"a lifetime":                   {change: offline("2160h", "Forbidden")},
		"the shortest lifetime":        {change: offline("60s", "Allowed")},
		"a lifetime that is too short": {change: offline("59s", ""), want: []Problem{{Reason: "InvalidLifetime", Path: "spec.offlineAccess.maxLifetime"}}},
		"a lifetime that is too long":  {change: offline("99999h1s", ""), want: []Problem{{Reason: "InvalidLifetime", Path: "spec.offlineAccess.maxLifetime"}}},
		"a lifetime in days":           {change: offline("90d", ""), want: []Problem{{Reason: "InvalidLifetime", Path: "spec.offlineAccess.maxLifetime"}}},
		"no lifetime":                  {change: offline("", ""), want: []Problem{{Reason: "InvalidLifetime", Path: "spec.offlineAccess.maxLifetime"}}},
		"an unknown permission":        {change: offline("1h", "Maybe"), want: []Problem{{Reason: "InvalidLifetime", Path: "spec.offlineAccess.nonExpiring"}}},
		"offline access of a deny": {change: func(s *v1alpha1.ClusterAccessPolicySpec) {
			s.Effect = "Deny"
			s.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "1h"}
		},
			want: []Problem{{Reason: "InvalidLifetime", Path: "spec.offlineAccess"}}},
		"a deny without rules": {change: func(s *v1alpha1.ClusterAccessPolicySpec) { s.Effect = "Deny"; s.Rules = nil },
			want: []Problem{{Reason: "InvalidName", Path: "spec.rules"}}},
	}
	registered := append(registeredClaims(), "tokenwright.dev/credential", "tokenwright.dev/x", "to\u212aenwright.dev/x", "\u017fub")
	for _, name := range registered {
		for _, spelling := range []string{name, strings.ToUpper(name), name[:len(name)-1] + strings.ToUpper(name[len(name)-1:])} {
			cases["the registered claim "+spelling] = struct {
				change func(*v1alpha1.ClusterAccessPolicySpec)
				want   []Problem
			}{claims(v1alpha1.Claim{Name: spelling}), []Problem{{Reason: "InvalidClaim", Path: "spec.claims[0].name"}}}
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := &v1alpha1.ClusterAccessPolicy{Spec: v1alpha1.ClusterAccessPolicySpec{PolicySpec: sound("").spec}}
			c.change(&o.Spec)
			_, got := CompileClusterAccessPolicy(o)
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Problem{}, "Message")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestGoTakesCapitalsForRegisteredClaims is the attack behind the refusal of their spellings: a verifier that is written in Go
// reads what a policy has given as what the server has said.
func TestGoTakesCapitalsForRegisteredClaims(t *testing.T) {
	for _, spelling := range []string{"Sub", "SUB", "\u017fub"} {
		var read struct {
			Subject string `json:"sub"`
		}
		if err := json.Unmarshal([]byte(`{"sub":"alice","`+spelling+`":"admin"}`), &read); err != nil || read.Subject != "admin" {
			t.Errorf("a verifier reads %s as another claim than sub: %q, %v", spelling, read.Subject, err)
		}
		if !isRegistered(spelling) {
			t.Errorf("%s is accepted", spelling)
		}
	}
}

// TestOutsideNamespace is the corpus of evasions: no name may let a policy of namespace team-a speak of anything but
// repositories under team-a/.
func TestOutsideNamespace(t *testing.T) {
	cases := map[string]struct {
		pattern string
		reason  string
	}{
		"all below":                               {"team-a/**", ""},
		"one below":                               {"team-a/*", ""},
		"text below":                              {"team-a/app", ""},
		"deep stars below":                        {"team-a/**/**/x", ""},
		"a placeholder below":                     {"team-a/${subject.extra.k}", ""},
		"dots in text below":                      {"team-a/..x", ""},
		"the namespace alone":                     {"team-a", "OutsideNamespace"},
		"everything":                              {"**", "OutsideNamespace"},
		"one segment":                             {"*", "OutsideNamespace"},
		"any namespace":                           {"*/x", "OutsideNamespace"},
		"everything before":                       {"**/team-a/x", "OutsideNamespace"},
		"a namespace that starts the same":        {"team-a*/x", "OutsideNamespace"},
		"a namespace that ends the same":          {"*team-a/x", "OutsideNamespace"},
		"a star in the middle":                    {"team*a/x", "OutsideNamespace"},
		"another namespace with the same start":   {"team-ab/x", "OutsideNamespace"},
		"the namespace without the slash":         {"team-a**", "InvalidName"},
		"the caller's namespace":                  {"${subject.namespace}/**", "OutsideNamespace"},
		"a value that may hold more":              {"${subject.extra.ns}/x", "OutsideNamespace"},
		"a value behind the namespace":            {"team-a${subject.extra.k}/x", "OutsideNamespace"},
		"a value before the namespace":            {"${subject.extra.k}team-a/x", "OutsideNamespace"},
		"a placeholder that spells the namespace": {"${subject.username}/x", "OutsideNamespace"},
		"up and over":                             {"team-a/../team-b/x", "InvalidName"},
		"up at the end":                           {"team-a/..", "InvalidName"},
		"the same place":                          {"./team-a/x", "InvalidName"},
		"a slash first":                           {"/team-a/x", "InvalidName"},
		"two slashes":                             {"team-a//x", "InvalidName"},
		"a slash last":                            {"team-a/", "InvalidName"},
		"another case":                            {"Team-A/x", "OutsideNamespace"},
		"white space before":                      {" team-a/x", "OutsideNamespace"},
		"white space behind":                      {"team-a /x", "OutsideNamespace"},
		"a host":                                  {"registry.example.com/team-a/x", "OutsideNamespace"},
		"a host and port":                         {"team-a:5000/x", "OutsideNamespace"},
		"an encoded slash":                        {"team-a%2f..%2fteam-b/x", "OutsideNamespace"},
		"a letter that looks the same":            {"te\u0430m-a/x", "OutsideNamespace"},
		"a wider slash":                           {"team-a\u2215x", "OutsideNamespace"},
		"a backslash":                             {`team-a\x`, "OutsideNamespace"},
		"a regular expression":                    {"(team-a|team-b)/x", "OutsideNamespace"},
		"a zero byte":                             {"team-a\x00/x", "InvalidName"},
		"a line feed":                             {"team-a/x\nteam-b/y", "InvalidName"},
		"an unclosed placeholder":                 {"team-a/${", "InvalidName"},
	}
	targets := []string{
		"team-a", "team-b", "team-b/x", "team-ab/x", "xteam-a/x", "team-a..", "x", "..", "team-a:5000/x", "Team-A/x", "team-a /x",
		"team-b/team-a/x", "te\u0430m-a/x", "team-a%2f..%2fteam-b/x", "${subject.namespace}/x", "*/x", "registry.example.com/team-a/x",
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, effect := range []v1alpha1.Effect{v1alpha1.EffectAllow, v1alpha1.EffectDeny} {
				o := sound("team-a")
				o.spec.Effect, o.spec.Rules = effect, rules("repository", c.pattern, "*")
				p, problems := o.compile()
				if got := reasonOf(problems); got != c.reason {
					t.Errorf("got %v, want %q", problems, c.reason)
				}
				// A grant of the tenant's that must stay as it is everywhere else, and one of the platform's anywhere.
				other, _ := object{namespace: "team-b", name: "o", spec: v1alpha1.PolicySpec{
					Subjects: o.spec.Subjects, Rules: rules("repository", "team-b/**", "pull"),
				}}.compile()
				for _, target := range targets {
					req := companyRequest(0)
					req.Resource.Name = target
					req.Caller.Extra = map[string][]string{"ns": {"team-b", "team-a"}, "k": {"b", "../team-b", "/team-b", ""}}
					want := NewIndex([]*Policy{other}).Decide(req)
					if diff := cmp.Diff(want, NewIndex([]*Policy{p, other}).Decide(req)); diff != "" {
						t.Errorf("%s of %q: %s", effect, target, diff)
					}
				}
			}
		})
	}
}

func reasonOf(problems []Problem) string {
	if len(problems) == 0 {
		return ""
	}
	return problems[0].Reason
}
