package v1alpha1_test

import (
	"maps"
	"strings"
)

// optionalName cases are those of a text that may be left out and is bounded.
func optionalName(path string, most int, spec func(string) m) map[string]ruleCase {
	return map[string]ruleCase{
		path + " of one character is accepted": {spec: spec("x")},
		path + " that is empty is refused":     {spec: spec(""), want: path + " in body should be at least 1 chars long"},
		path + " at its bound is accepted":     {spec: spec(strings.Repeat("x", most))},
		path + " past its bound is refused":    {spec: spec(strings.Repeat("x", most+1)), want: path + ": Too long"},
	}
}

// digestCases are those of SHA-256 in base64url.
func digestCases(path string, spec func(string) m) map[string]ruleCase {
	return map[string]ruleCase{
		path + " in base64url is accepted":   {spec: spec(strings.Repeat("aZ09_-", 7) + "x")},
		path + " of 42 characters is no sum": {spec: spec(strings.Repeat("x", 42)), want: path + " in body should be at least 43 chars long"},
		path + " of 65 characters is no sum": {spec: spec(strings.Repeat("x", 65)), want: path + ": Too long"},
		path + " with padding is no sum":     {spec: spec(strings.Repeat("x", 42) + "="), want: path + " in body should match"},
	}
}

func issuedTokenCases() map[string]ruleCase {
	field := func(path string) func(string) m { return func(v string) m { return at(path, v) } }
	access := m{"type": "AccessToken", "secretHash": nil, "keyThumbprint": strings.Repeat("k", 43)}
	without := func(name string) m { return m{name: nil} }
	const uuidPart = "a-8bcd-8123-0123456789ab"
	const nameMessage = `metadata.name must be "token-" and the place in spec.id, without its random part`
	cases := map[string]ruleCase{
		"a refresh token is accepted":                   {},
		"an access token is accepted":                   {spec: access},
		"another type is refused":                       {spec: m{"type": "IDToken"}, want: `spec.type: Unsupported value: "IDToken"`},
		"a refresh token without a hash is refused":     {spec: without("secretHash"), want: "secretHash must be given for a RefreshToken"},
		"a refresh token with a key is refused":         {spec: m{"keyThumbprint": strings.Repeat("k", 43)}, want: "keyThumbprint may only be given for an AccessToken"},
		"an access token without a key is refused":      {spec: merged(access, without("keyThumbprint")), want: "keyThumbprint must be given for an AccessToken"},
		"an access token with a hash is refused":        {spec: merged(access, m{"secretHash": strings.Repeat("s", 43)}), want: "secretHash may only be given for a RefreshToken"},
		"an object without a spec is refused":           {specless: true, want: "spec: Required value"},
		"a name that is that of the id is accepted":     {name: "token-12-345", spec: m{"id": "12-345" + randomPart}},
		"a name of another place is refused":            {name: "token-12-346", spec: m{"id": "12-345" + randomPart}, want: nameMessage},
		"a name of a part of the place is refused":      {name: "token-12-34", spec: m{"id": "12-345" + randomPart}, want: nameMessage},
		"a name of a list only is refused":              {name: "token-12", spec: m{"id": "12-345" + randomPart}, want: nameMessage},
		"a name that is the whole id is refused":        {name: "token-12-345" + randomPart, spec: m{"id": "12-345" + randomPart}, want: nameMessage},
		"a name that is the id's beginning is refused":  {name: "token-1", spec: m{"id": "1-345" + randomPart}, want: nameMessage},
		"a UUID with the place of the name is accepted": {name: "token-12-345", spec: m{"id": "00012000-345" + uuidPart}},
		"a UUID of the last place is accepted":          {name: "token-99999-131071", spec: m{"id": "99999131-071" + uuidPart}},
		"a UUID of the first place is accepted":         {name: "token-0-0", spec: m{"id": "00000000-000" + uuidPart}},
		"a UUID of a place with zeros is accepted":      {name: "token-10-100", spec: m{"id": "00010000-100" + uuidPart}},
		"a UUID of a list that is shorter is refused":   {name: "token-1-100", spec: m{"id": "00010000-100" + uuidPart}, want: nameMessage},
		"a UUID of another place is refused":            {name: "token-12-346", spec: m{"id": "00012000-345" + uuidPart}, want: nameMessage},
		"a name that is the UUID's digits is refused":   {name: "token-00012-000345", spec: m{"id": "00012000-345" + uuidPart}, want: nameMessage},
		"a UUID of another version is refused":          {name: "token-12-345", spec: m{"id": "00012000-345a-4bcd-8123-0123456789ab"}, want: "should match"},
		"a UUID of another variant is refused":          {name: "token-12-345", spec: m{"id": "00012000-345a-8bcd-c123-0123456789ab"}, want: "should match"},
		"a UUID whose place is no number is refused":    {name: "token-12-345", spec: m{"id": "0001200a-345a-8bcd-8123-0123456789ab"}, want: "should match"},
		"a UUID in upper case is refused":               {name: "token-12-345", spec: m{"id": "00012000-345A-8BCD-8123-0123456789AB"}, want: "should match"},
		"a time of use is accepted":                     {status: m{"lastUsed": "2026-01-01T00:00:00Z"}},
		"another subject later is refused":              {change: m{"subject": m{"username": "root"}}, want: "spec is immutable"},
		"a later end is refused":                        {change: m{"expires": "2099-01-01T00:00:00Z"}, want: "spec is immutable"},
		"the same again is accepted":                    {change: m{"expires": "2027-01-01T00:00:00Z"}},
	}
	for _, name := range []string{"type", "id", "subject", "provider", "authTime", "audience", "expires"} {
		cases["a token without "+name+" is refused"] = ruleCase{spec: without(name), want: "spec." + name + ": Required value"}
	}
	for id, want := range map[string]string{
		"abcdefghijklmnopqrstuvwxyz": "should be at least 30 chars long", "0-0-ABCDEFGHIJKLMNOPQRSTUVWXYZ": "should match",
		"123456-0" + randomPart: "should match", "0-1234567" + randomPart: "should match", "0-0" + randomPart + "a": "should match",
		"00-0" + randomPart: "should match", "0-01" + randomPart: "should match",
		"0-0-" + strings.Repeat("a", 61): "Too long",
	} {
		cases["the id "+id+" is refused"] = ruleCase{spec: m{"id": id}, want: want}
	}
	maps.Copy(cases, timeCases("spec.expires", field("expires")))
	maps.Copy(cases, timeCases("spec.authTime", field("authTime")))
	maps.Copy(cases, digestCases("spec.secretHash", field("secretHash")))
	maps.Copy(cases, digestCases("spec.credential", field("credential")))
	maps.Copy(cases, digestCases("spec.keyThumbprint", func(v string) m { return merged(access, m{"keyThumbprint": v}) }))
	maps.Copy(cases, optionalName("spec.clientID", 253, field("clientID")))
	maps.Copy(cases, optionalName("spec.provider.name", 253, field("provider.name")))
	maps.Copy(cases, optionalName("spec.provider.uid", 64, field("provider.uid")))
	maps.Copy(cases, optionalName("spec.audience", 253, field("audience")))
	cases["an audience with a line break is refused"] = ruleCase{spec: m{"audience": "a\nb"}, want: "spec.audience in body should match"}
	cases["a provider without a name is refused"] = ruleCase{spec: m{"provider": m{"name": nil}}, want: "spec.provider.name: Required value"}
	cases["a provider without a uid is refused"] = ruleCase{spec: m{"provider": m{"uid": nil}}, want: "spec.provider.uid: Required value"}
	for sentence, c := range timeCases("status.lastUsed", func(v string) m { return m{"lastUsed": v} }) {
		cases[sentence] = ruleCase{status: c.spec, want: c.want}
	}
	return cases
}

func recordedSubjectCases() map[string]ruleCase {
	subject := func(changes m) m { return m{"subject": changes} }
	groups := func(names ...any) m { return subject(m{"groups": l(names)}) }
	extra := func(items ...any) m { return subject(m{"extra": l(items)}) }
	long := strings.Repeat("x", 1025)
	cases := map[string]ruleCase{
		"a subject without a name is refused":         {spec: subject(m{"username": nil}), want: "spec.subject.username: Required value"},
		"1024 groups are accepted":                    {spec: subject(m{"groups": many(1024, text("g%d"))})},
		"1025 groups are refused":                     {spec: subject(m{"groups": many(1025, text("g%d"))}), want: "must have at most 1024 items"},
		"a group without a name is refused":           {spec: groups(""), want: "spec.subject.groups[0] in body should be at least 1 chars long"},
		"a group of 256 characters is accepted":       {spec: groups(long[:256])},
		"a group of 257 characters is refused":        {spec: groups(long[:257]), want: "spec.subject.groups[0]: Too long"},
		"a fact is accepted":                          {spec: extra(m{"key": "team", "values": l{"a", ""}})},
		"a fact without values is accepted":           {spec: extra(m{"key": "team"})},
		"a fact without a key is refused":             {spec: extra(m{"values": l{"a"}}), want: "spec.subject.extra[0].key: Required value"},
		"a fact with an empty key is refused":         {spec: extra(m{"key": ""}), want: "spec.subject.extra[0].key in body should be at least 1 chars long"},
		"a fact's key of 257 characters is refused":   {spec: extra(m{"key": long[:257]}), want: "spec.subject.extra[0].key: Too long"},
		"a fact given twice is refused":               {spec: extra(m{"key": "a"}, m{"key": "a"}), want: "spec.subject.extra[1]: Duplicate value"},
		"32 facts are accepted":                       {spec: subject(m{"extra": many(32, fact)})},
		"33 facts are refused":                        {spec: subject(m{"extra": many(33, fact)}), want: "must have at most 32 items"},
		"a fact of 64 values is accepted":             {spec: extra(m{"key": "a", "values": many(64, text("v%d"))})},
		"a fact of 65 values is refused":              {spec: extra(m{"key": "a", "values": many(65, text("v%d"))}), want: "must have at most 64 items"},
		"a fact's value of 1024 characters is fine":   {spec: extra(m{"key": "a", "values": l{long[:1024]}})},
		"a fact's value of 1025 characters is not so": {spec: extra(m{"key": "a", "values": l{long}}), want: "spec.subject.extra[0].values[0]: Too long"},
	}
	maps.Copy(cases, optionalName("spec.subject.username", 256, func(v string) m { return subject(m{"username": v}) }))
	maps.Copy(cases, optionalName("spec.subject.uid", 256, func(v string) m { return subject(m{"uid": v}) }))
	return cases
}

func fact(i int) any { return m{"key": strings.Repeat("k", i+1)} }
