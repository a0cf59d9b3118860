package v1alpha1_test

import (
	"maps"
	"strings"
)

func permissionRequestCases() map[string]ruleCase {
	field := func(path string) func(string) m { return func(v string) m { return at(path, v) } }
	const immutable = "spec is immutable: what is asked for is another PermissionRequest"
	cases := map[string]ruleCase{
		"a resource without a name is refused":     {spec: m{"resource": m{"name": nil}}, want: "spec.resource.name: Required value"},
		"a resource without a uid is refused":      {spec: m{"resource": m{"uid": nil}}, want: "spec.resource.uid: Required value"},
		"an audience with a line break is refused": {spec: m{"audience": "a\nb"}, want: "spec.audience in body should match"},
		"a request without a spec is refused":      {specless: true, want: "spec: Required value"},
		"a request for no scope is refused":        {spec: m{"scopes": l{}}, want: "spec.scopes in body should have at least 1 items"},
		"10,000 scopes are refused":                {spec: m{"scopes": many(10_000, text("scope-%d"))}, want: "must have at most 64 items"},
		"the same again is accepted":               {change: m{"requester": "bob", "scopes": l{"view"}}},
		"another requester later is refused":       {change: m{"requester": "mallory"}, want: immutable},
		"more scopes later are refused":            {change: m{"scopes": l{"view", "delete"}}, want: immutable},
		"another resource later is refused":        {change: m{"resource": m{"name": "diary"}}, want: immutable},
		"another object of the name is refused":    {change: m{"resource": m{"uid": "another"}}, want: immutable},
		"another owner later is refused":           {change: m{"owner": "mallory"}, want: immutable},
		"another audience later is refused":        {change: m{"audience": "wiki.example.com"}, want: immutable},
	}
	for _, name := range []string{"resource", "audience", "owner", "requester", "scopes"} {
		cases["a request without "+name+" is refused"] = ruleCase{spec: m{name: nil}, want: "spec." + name + ": Required value"}
	}
	maps.Copy(cases, optionalName("spec.resource.name", 253, field("resource.name")))
	maps.Copy(cases, optionalName("spec.resource.uid", 64, field("resource.uid")))
	maps.Copy(cases, optionalName("spec.audience", 253, field("audience")))
	maps.Copy(cases, optionalName("spec.owner", 256, field("owner")))
	maps.Copy(cases, optionalName("spec.requester", 256, field("requester")))
	maps.Copy(cases, scopeCases("spec.scopes", func(scopes l) m { return m{"scopes": scopes} }))
	return cases
}

// decisionCases are the rules of what an owner or the manager writes into the status.
func decisionCases() map[string]ruleCase {
	cases := map[string]ruleCase{
		"an approval is accepted":                    {status: m{"state": "Approved", "decidedBy": "alice", "decidedAt": "2026-01-01T00:00:00Z"}},
		"an approval of a part is accepted":          {status: m{"state": "Approved", "scopes": l{"view"}}},
		"an empty list of scopes is accepted":        {status: m{"state": "Approved", "scopes": l{}}},
		"a denial is accepted":                       {status: m{"state": "Denied"}},
		"that it is undecided again is accepted":     {status: m{"state": "Pending"}},
		"a state in lower case is refused":           {status: m{"state": "approved"}, want: "status.state: Unsupported value"},
		"a state of its own is refused":              {status: m{"state": "Granted"}, want: "status.state: Unsupported value"},
		"a decision by nobody in words is accepted":  {status: m{"decidedBy": ""}},
		"who decided, of 256 characters, is fine":    {status: m{"decidedBy": strings.Repeat("x", 256)}},
		"who decided, of 257 characters, is refused": {status: m{"decidedBy": strings.Repeat("x", 257)}, want: "status.decidedBy: Too long"},
	}
	inStatus := func(of map[string]ruleCase) {
		for sentence, c := range of {
			cases[sentence] = ruleCase{status: c.spec, want: c.want}
		}
	}
	inStatus(timeCases("status.decidedAt", func(v string) m { return m{"decidedAt": v} }))
	inStatus(scopeCases("status.scopes", func(scopes l) m { return m{"scopes": scopes} }))
	return cases
}
