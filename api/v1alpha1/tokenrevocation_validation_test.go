package v1alpha1_test

import (
	"maps"
	"strings"
)

func tokenRevocationCases() map[string]ruleCase {
	token := func(id string) m { return m{"token": m{"id": id}} }
	subject := func(changes m) m {
		return m{"token": nil, "subject": merged(m{"username": "alice", "issuedBefore": "2026-01-01T00:00:00Z"}, changes)}
	}
	const oneOf = "exactly one of the fields in [token subject] must be set"
	cases := map[string]ruleCase{
		"an object without a spec is refused":            {specless: true, want: "spec: Required value"},
		"a revocation of nothing is refused":             {bare: m{}, want: oneOf},
		"a revocation of two targets is refused":         {spec: merged(subject(nil), token("abc")), want: oneOf},
		"a revocation of a token is accepted":            {spec: token("0-1" + randomPart)},
		"a token without an id is refused":               {spec: m{"token": m{"id": nil}}, want: "spec.token.id: Required value"},
		"a token with an empty id is refused":            {spec: token(""), want: "spec.token.id in body should be at least 1 chars long"},
		"an id of 64 characters is accepted":             {spec: token(strings.Repeat("x", 64))},
		"an id of 65 characters is refused":              {spec: token(strings.Repeat("x", 65)), want: "spec.token.id: Too long"},
		"an id in upper case is refused":                 {spec: token("ABC"), want: "spec.token.id in body should match"},
		"an id that begins with a dash is refused":       {spec: token("-abc"), want: "spec.token.id in body should match"},
		"a refresh token in place of its id is refused":  {spec: token("twr_0-1-abc.def"), want: "spec.token.id in body should match"},
		"a revocation of a subject is accepted":          {spec: subject(nil)},
		"a subject without a name is refused":            {spec: subject(m{"username": nil}), want: "spec.subject.username: Required value"},
		"a subject without a time is refused":            {spec: subject(m{"issuedBefore": nil}), want: "spec.subject.issuedBefore: Required value"},
		"an audience with a line break is refused":       {spec: subject(m{"audience": "a\nb"}), want: "spec.subject.audience in body should match"},
		"another token later is refused":                 {change: token("another"), want: "spec is immutable: create another TokenRevocation"},
		"an end that is put off is refused":              {change: m{"expires": "2099-01-01T00:00:00Z"}, want: "spec is immutable: create another TokenRevocation"},
		"a reason that is given later is refused":        {change: m{"reason": "lost"}, want: "spec is immutable: create another TokenRevocation"},
		"the same again is accepted":                     {change: token("abc")},
		"a revocation with an end and why is accepted":   {spec: m{"expires": "2027-01-01T00:00:00Z", "reason": "the laptop was lost"}},
		"a revocation that comes too late is one anyway": {spec: m{"expires": "2001-01-01T00:00:00Z"}},
	}
	maps.Copy(cases, timeCases("spec.expires", func(v string) m { return m{"expires": v} }))
	maps.Copy(cases, timeCases("spec.subject.issuedBefore", func(v string) m { return subject(m{"issuedBefore": v}) }))
	maps.Copy(cases, optionalName("spec.reason", 256, func(v string) m { return m{"reason": v} }))
	maps.Copy(cases, optionalName("spec.subject.username", 256, func(v string) m { return subject(m{"username": v}) }))
	maps.Copy(cases, optionalName("spec.subject.audience", 253, func(v string) m { return subject(m{"audience": v}) }))
	return cases
}
