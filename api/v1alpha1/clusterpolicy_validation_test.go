package v1alpha1_test

import (
	"fmt"
	"maps"
	"strings"
)

// registered are the claims that the server sets itself.
var registered = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "access", "nats", "authorization", "permissions", "scope",
	"client_id", "typ", "cnf", "act", "status", "auth_time", "tokenwright.dev/credential", "tokenwright.dev/x",
}

// claim returns a spec with one claim; changes are laid over it.
func claim(changes m) m {
	return m{"claims": l{merged(m{"name": "prvd", "value": m{"permissions": 415}}, changes)}}
}

// clusterAccessPolicyCases are the rules of ClusterAccessPolicy alone.
func clusterAccessPolicyCases() map[string]ruleCase {
	offline := func(changes m) m { return m{"offlineAccess": merged(m{"maxLifetime": "2160h"}, changes)} }
	long := strings.Repeat("x", 65)
	claims := func(n int) l {
		return many(n, func(i int) any { return m{"name": fmt.Sprintf("c%d", i), "value": i} })
	}
	nothing := merged(accessPolicy.spec, m{"rules": nil})
	cases := map[string]ruleCase{
		"a rule for the registry itself is accepted":   {spec: rule(m{"type": "registry", "names": l{"catalog"}, "actions": l{"*"}})},
		"a rule for NATS is accepted":                  {spec: rule(m{"type": "nats", "names": l{"orders.>"}, "actions": l{"publish", "subscribe", "*"}})},
		"a rule for OAuth is accepted":                 {spec: rule(m{"type": "oauth", "names": l{"*"}, "actions": l{"introspect", "exchange", "revoke", "list", "uma_protection", "register_for_others", "*"}})},
		"neither rules nor anything else is refused":   {bare: nothing, want: "at least one of rules, offlineAccess and claims must be given"},
		"offline access alone is accepted":             {bare: merged(nothing, offline(nil))},
		"claims alone are accepted":                    {bare: merged(nothing, claim(nil))},
		"offline access in a Deny is refused":          {spec: merged(offline(nil), m{"effect": "Deny"}), want: "offlineAccess may only be given when effect is Allow"},
		"claims in a Deny are refused":                 {spec: merged(claim(nil), m{"effect": "Deny"}), want: "claims may only be given when effect is Allow"},
		"offline access without a lifetime is refused": {spec: m{"offlineAccess": m{}}, want: "spec.offlineAccess.maxLifetime: Required value"},
		"offline access for a minute is accepted":      {spec: offline(m{"maxLifetime": "1m"})},
		"offline access for 59 seconds is refused":     {spec: offline(m{"maxLifetime": "59s"}), want: "maxLifetime must be from 1m to 99999h"},
		"offline access for 99999 hours is accepted":   {spec: offline(m{"maxLifetime": "99999h"})},
		"offline access for a second more is refused":  {spec: offline(m{"maxLifetime": "99999h1s"}), want: "maxLifetime must be from 1m to 99999h"},
		"tokens that do not expire are accepted":       {spec: offline(m{"nonExpiring": "Allowed"})},
		"tokens that perhaps expire are refused":       {spec: offline(m{"nonExpiring": "Maybe"}), want: `spec.offlineAccess.nonExpiring: Unsupported value: "Maybe"`},

		"16 claims are accepted":                                      {spec: m{"claims": claims(16)}},
		"17 claims are refused":                                       {spec: m{"claims": claims(17)}, want: "must have at most 16 items"},
		"an empty list of claims is refused":                          {spec: m{"claims": l{}}, want: "spec.claims in body should have at least 1 items"},
		"a claim given twice is refused":                              {spec: m{"claims": l{m{"name": "c", "value": 1}, m{"name": "c", "value": 2}}}, want: "spec.claims[1]: Duplicate value"},
		"a claim without a name is refused":                           {spec: claim(m{"name": nil}), want: "spec.claims[0].name: Required value"},
		"a claim with an empty name is refused":                       {spec: claim(m{"name": ""}), want: "spec.claims[0].name in body should be at least 1 chars long"},
		"a claim's name of 64 characters is accepted":                 {spec: claim(m{"name": long[:64]})},
		"a claim's name of 65 characters is refused":                  {spec: claim(m{"name": long}), want: "spec.claims[0].name: Too long"},
		"a claim's name that is a URL is accepted":                    {spec: claim(m{"name": "https://example.com/roles"})},
		"a claim's name with a space is refused":                      {spec: claim(m{"name": "a b"}), want: "spec.claims[0].name in body should match"},
		"a claim without a value is refused":                          {spec: claim(m{"value": nil}), want: "spec.claims[0].value: Required value"},
		"a claim's name that is part of a registered one is accepted": {spec: claim(m{"name": "su"})},
		"a claim's name that holds a registered one is accepted":      {spec: claim(m{"name": "Subject"})},
		"a claim's name below another domain is accepted":             {spec: claim(m{"name": "example.com/tokenwright.dev/credential"})},
	}
	for name, value := range map[string]any{
		"a string": "x", "an empty string": "", "a number": 415, "a fraction": 0.5, "a big number": 1e300, "false": false,
		"a list": l{1, "x", l{}}, "an empty object": m{}, "a deep object": at(strings.Repeat("a.", 30)+"a", nil),
	} {
		cases["a claim whose value is "+name+" is accepted"] = ruleCase{spec: m{"claims": l{m{"name": "c", "value": value}}}}
	}
	for _, name := range registered {
		// Go's encoding/json takes EXP and Exp for exp, and so do verifiers that are written in Go.
		for _, spelling := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
			cases["the registered claim "+spelling+" is refused"] = ruleCase{
				spec: claim(m{"name": spelling}), want: "name must not be a claim that the server sets itself",
			}
		}
	}
	maps.Copy(cases, clusterNameCases())
	maps.Copy(cases, durationCases("spec.offlineAccess.maxLifetime", func(v string) m { return offline(m{"maxLifetime": v}) }))
	return cases
}
