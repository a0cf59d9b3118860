package v1alpha1_test

import (
	"maps"
	"strings"
)

// jwtSpec is the smallest valid spec of a provider of type jwt; changes replace fields of it.
func jwtSpec(changes m) m {
	jwt := m{
		"issuer":        m{"url": "https://issuer.example.com", "audiences": l{"registry.example.com"}},
		"prefix":        "gh:",
		"claimMappings": m{"username": m{"claim": "sub"}},
	}
	maps.Copy(jwt, changes)
	return m{"htpasswd": nil, "jwt": jwt}
}

func jwtIssuer(changes m) m {
	return jwtSpec(m{"issuer": merged(m{"url": "https://issuer.example.com", "audiences": l{"a"}}, changes)})
}

func jwtMappings(changes m) m {
	mappings := m{"username": m{"claim": "sub"}}
	maps.Copy(mappings, changes)
	return jwtSpec(m{"claimMappings": mappings})
}

func jwtProviderCases() map[string]ruleCase {
	cases := map[string]ruleCase{}
	for _, more := range []map[string]ruleCase{
		jwtIssuerCases(), jwtPrefixCases(), claimMappingCases(), claimRuleCases(), publicIssuerCases(),
		audienceCases("spec.jwt.issuer.audiences", func(a string) m { return jwtIssuer(m{"audiences": l{a}}) }),
	} {
		maps.Copy(cases, more)
	}
	return cases
}

func jwtIssuerCases() map[string]ruleCase {
	const match = "spec.jwt.issuer.url in body should match"
	long := "https://issuer.example.com/" + strings.Repeat("x", 512)
	certificate := "-----BEGIN CERTIFICATE-----\n" + strings.Repeat("x", 65536)
	discovery := func(u string) m { return jwtIssuer(m{"discoveryURL": u}) }
	authority := func(pem string) m { return jwtIssuer(m{"certificateAuthority": pem}) }
	policy := "spec.jwt.issuer.audienceMatchPolicy"
	return map[string]ruleCase{
		"jwt is accepted":                                   {spec: jwtSpec(nil)},
		"jwt without anything is refused":                   {bare: m{"jwt": m{}}, want: "spec.jwt.issuer: Required value"},
		"an issuer without a URL is refused":                {spec: jwtIssuer(m{"url": nil}), want: "spec.jwt.issuer.url: Required value"},
		"an issuer with a path is accepted":                 {spec: jwtIssuer(m{"url": "https://gitlab.example.com/a/b-c~d/%7E"})},
		"an issuer with a port is accepted":                 {spec: jwtIssuer(m{"url": "https://[::1]:8443/realms/a"})},
		"an issuer of 512 characters is accepted":           {spec: jwtIssuer(m{"url": long[:512]})},
		"an issuer of 513 characters is refused":            {spec: jwtIssuer(m{"url": long[:513]}), want: "spec.jwt.issuer.url: Too long"},
		"an empty issuer is refused":                        {spec: jwtIssuer(m{"url": ""}), want: "spec.jwt.issuer.url in body should be at least 1 chars long"},
		"an issuer without TLS is refused":                  {spec: jwtIssuer(m{"url": "http://issuer.example.com"}), want: match},
		"an issuer in a file is refused":                    {spec: jwtIssuer(m{"url": "file:///etc/passwd"}), want: match},
		"an issuer without a host is refused":               {spec: jwtIssuer(m{"url": "https:///x"}), want: match},
		"an issuer with a user is refused":                  {spec: jwtIssuer(m{"url": "https://u:p@issuer.example.com"}), want: match},
		"an issuer with a query is refused":                 {spec: jwtIssuer(m{"url": "https://issuer.example.com/?a=b"}), want: match},
		"an issuer with a fragment is refused":              {spec: jwtIssuer(m{"url": "https://issuer.example.com/#a"}), want: match},
		"an issuer with a space is refused":                 {spec: jwtIssuer(m{"url": "https://issuer.example.com/a b"}), want: match},
		"an issuer with a line break is refused":            {spec: jwtIssuer(m{"url": "https://issuer.example.com/\n"}), want: match},
		"another place of the description is accepted":      {spec: discovery("https://issuer.internal/.well-known/openid-configuration")},
		"a description without TLS is refused":              {spec: discovery("http://issuer.internal/x"), want: "spec.jwt.issuer.discoveryURL in body should match"},
		"an empty place of the description is refused":      {spec: discovery(""), want: "spec.jwt.issuer.discoveryURL in body should be at least 1 chars long"},
		"a place of 513 characters is refused":              {spec: discovery(long[:513]), want: "spec.jwt.issuer.discoveryURL: Too long"},
		"a description at the issuer's own URL is refused":  {spec: discovery("https://issuer.example.com"), want: "discoveryURL must differ from url"},
		"a certificate authority is accepted":               {spec: authority(certificate[:65536])},
		"a certificate authority of 64 KiB and 1 refused":   {spec: authority(certificate[:65537]), want: "spec.jwt.issuer.certificateAuthority: Too long"},
		"an empty certificate authority is refused":         {spec: authority(""), want: "spec.jwt.issuer.certificateAuthority in body should be at least 1 chars long"},
		"a key for a certificate authority is refused":      {spec: authority("-----BEGIN PRIVATE KEY-----"), want: "spec.jwt.issuer.certificateAuthority in body should match"},
		"an issuer without audiences is refused":            {spec: jwtIssuer(m{"audiences": nil}), want: "spec.jwt.issuer.audiences: Required value"},
		"an issuer with no audience is refused":             {spec: jwtIssuer(m{"audiences": l{}}), want: "spec.jwt.issuer.audiences in body should have at least 1 items"},
		"an issuer with an audience twice is refused":       {spec: jwtIssuer(m{"audiences": l{"a", "a"}, "audienceMatchPolicy": "MatchAny"}), want: `spec.jwt.issuer.audiences[1]: Duplicate value: "a"`},
		"an issuer with 8 audiences is accepted":            {spec: jwtIssuer(m{"audiences": many(8, text("a%d")), "audienceMatchPolicy": "MatchAny"})},
		"an issuer with 9 audiences is refused":             {spec: jwtIssuer(m{"audiences": many(9, text("a%d")), "audienceMatchPolicy": "MatchAny"}), want: "must have at most 8 items"},
		"two audiences without a policy to match, refused":  {spec: jwtIssuer(m{"audiences": l{"a", "b"}}), want: "audienceMatchPolicy must be MatchAny where there are several audiences"},
		"one audience with a policy to match is accepted":   {spec: jwtIssuer(m{"audienceMatchPolicy": "MatchAny"})},
		"a policy to match that nobody knows of is refused": {spec: jwtIssuer(m{"audienceMatchPolicy": "MatchAll"}), want: policy + `: Unsupported value: "MatchAll"`},
	}
}

func jwtPrefixCases() map[string]ruleCase {
	prefix := func(p string) m { return jwtSpec(m{"prefix": p}) }
	none := jwtSpec(nil)
	delete(none["jwt"].(m), "prefix")
	return map[string]ruleCase{
		"jwt without a prefix is refused":                   {spec: none, want: "spec.jwt.prefix: Required value"},
		"jwt with an empty prefix is refused":               {spec: prefix(""), want: "spec.jwt.prefix in body should be at least 1 chars long"},
		"a prefix of jwt of 64 characters is accepted":      {spec: prefix(strings.Repeat("x", 64))},
		"a prefix of jwt of 65 characters is refused":       {spec: prefix(strings.Repeat("x", 65)), want: "spec.jwt.prefix: Too long"},
		"a prefix of jwt with a space is refused":           {spec: prefix("a b"), want: "spec.jwt.prefix in body should match"},
		"a prefix of jwt with an umlaut is refused":         {spec: prefix("ä:"), want: "spec.jwt.prefix in body should match"},
		"the prefix of Kubernetes is refused for jwt":       {spec: prefix("system:"), want: "prefix must not start with system:"},
		"a prefix beyond Kubernetes' is refused for jwt":    {spec: prefix("system:serviceaccount:"), want: "prefix must not start with system:"},
		"a prefix that only begins like it is accepted now": {spec: prefix("system")},
	}
}

func claimMappingCases() map[string]ruleCase {
	const either = "exactly one of the fields in [claim expression] must be set"
	long := strings.Repeat("x", 4097)
	username := func(c m) m { return jwtMappings(m{"username": c}) }
	extra := func(changes m) m {
		return jwtMappings(m{"extra": l{merged(m{"key": "example.com/ref", "valueExpression": "claims.ref"}, changes)}})
	}
	none := jwtSpec(nil)
	delete(none["jwt"].(m), "claimMappings")
	mappings := "spec.jwt.claimMappings"
	return map[string]ruleCase{
		"jwt without mappings is refused":             {spec: none, want: mappings + ": Required value"},
		"mappings without a user name are refused":    {spec: jwtMappings(m{"username": nil}), want: mappings + ".username: Required value"},
		"a name by an expression is accepted":         {spec: username(m{"expression": "claims.repository"})},
		"a name of nothing is refused":                {spec: username(m{}), want: either},
		"a name of claim and expression is refused":   {spec: username(m{"claim": "sub", "expression": "claims.sub"}), want: either},
		"an empty claim is refused":                   {spec: username(m{"claim": ""}), want: mappings + ".username.claim in body should be at least 1 chars long"},
		"a claim of 256 characters is accepted":       {spec: username(m{"claim": long[:256]})},
		"a claim of 257 characters is refused":        {spec: username(m{"claim": long[:257]}), want: mappings + ".username.claim: Too long"},
		"an empty expression is refused":              {spec: username(m{"expression": ""}), want: mappings + ".username.expression in body should be at least 1 chars long"},
		"an expression of 4096 characters, accepted":  {spec: username(m{"expression": long[:4096]})},
		"an expression of 4097 characters is refused": {spec: username(m{"expression": long}), want: mappings + ".username.expression: Too long"},

		"groups by a claim are accepted":             {spec: jwtMappings(m{"groups": m{"claim": "groups"}})},
		"groups of claim and expression are refused": {spec: jwtMappings(m{"groups": m{"claim": "groups", "expression": "claims.groups"}}), want: either},
		"groups of an empty claim are refused":       {spec: jwtMappings(m{"groups": m{"claim": ""}}), want: mappings + ".groups.claim in body should be at least 1 chars long"},
		"groups of too long a claim are refused":     {spec: jwtMappings(m{"groups": m{"claim": long}}), want: mappings + ".groups.claim: Too long"},
		"groups of no expression are refused":        {spec: jwtMappings(m{"groups": m{"expression": ""}}), want: mappings + ".groups.expression in body should be at least 1 chars long"},
		"groups of too long an expression, refused":  {spec: jwtMappings(m{"groups": m{"expression": long}}), want: mappings + ".groups.expression: Too long"},
		"a uid by an expression is accepted":         {spec: jwtMappings(m{"uid": m{"expression": "claims.sub"}})},
		"a uid of nothing is refused":                {spec: jwtMappings(m{"uid": m{}}), want: either},
		"a uid of an empty claim is refused":         {spec: jwtMappings(m{"uid": m{"claim": ""}}), want: mappings + ".uid.claim in body should be at least 1 chars long"},
		"a uid of too long a claim is refused":       {spec: jwtMappings(m{"uid": m{"claim": long}}), want: mappings + ".uid.claim: Too long"},
		"a uid of no expression is refused":          {spec: jwtMappings(m{"uid": m{"expression": ""}}), want: mappings + ".uid.expression in body should be at least 1 chars long"},
		"a uid of too long an expression is refused": {spec: jwtMappings(m{"uid": m{"expression": long}}), want: mappings + ".uid.expression: Too long"},

		"a further fact is accepted":                 {spec: extra(nil)},
		"a fact without a name is refused":           {spec: jwtMappings(m{"extra": l{m{"valueExpression": "claims.ref"}}}), want: mappings + ".extra[0].key: Required value"},
		"a fact without a value is refused":          {spec: jwtMappings(m{"extra": l{m{"key": "example.com/ref"}}}), want: mappings + ".extra[0].valueExpression: Required value"},
		"a fact with an empty name is refused":       {spec: extra(m{"key": ""}), want: mappings + ".extra[0].key in body should be at least 1 chars long"},
		"a fact without a domain is refused":         {spec: extra(m{"key": "ref"}), want: mappings + ".extra[0].key in body should match"},
		"a fact in capitals is refused":              {spec: extra(m{"key": "example.com/Ref"}), want: mappings + ".extra[0].key in body should match"},
		"a fact of 256 characters is accepted":       {spec: extra(m{"key": ("example.com/" + long)[:256]})},
		"a fact of 257 characters is refused":        {spec: extra(m{"key": ("example.com/" + long)[:257]}), want: mappings + ".extra[0].key: Too long"},
		"a fact of Kubernetes is refused":            {spec: extra(m{"key": "authentication.kubernetes.io/pod-name"}), want: "key must not be in a domain of Kubernetes"},
		"a fact of k8s.io is refused":                {spec: extra(m{"key": "k8s.io/x"}), want: "key must not be in a domain of Kubernetes"},
		"a fact of a domain that ends alike is fine": {spec: extra(m{"key": "notk8s.io/x"})},
		"a fact with an empty value is refused":      {spec: extra(m{"valueExpression": ""}), want: mappings + ".extra[0].valueExpression in body should be at least 1 chars long"},
		"a fact with too long a value is refused":    {spec: extra(m{"valueExpression": long}), want: mappings + ".extra[0].valueExpression: Too long"},
		"16 facts are accepted":                      {spec: jwtMappings(m{"extra": many(16, func(i int) any { return m{"key": text("example.com/%d")(i), "valueExpression": "'x'"} })})},
		"a list of no facts is refused":              {spec: jwtMappings(m{"extra": l{}}), want: mappings + ".extra in body should have at least 1 items"},
		"17 facts are refused":                       {spec: jwtMappings(m{"extra": many(17, func(i int) any { return m{"key": text("example.com/%d")(i), "valueExpression": "'x'"} })}), want: "must have at most 16 items"},
		"a fact twice is refused":                    {spec: jwtMappings(m{"extra": many(2, func(int) any { return m{"key": "example.com/x", "valueExpression": "'x'"} })}), want: mappings + ".extra[1]: Duplicate value"},
	}
}

func claimRuleCases() map[string]ruleCase {
	const either = "exactly one of the fields in [claim expression] must be set"
	long := strings.Repeat("x", 4097)
	claims := func(r m) m { return jwtSpec(m{"claimValidationRules": l{r}}) }
	users := func(r m) m { return jwtSpec(m{"userValidationRules": l{r}}) }
	rule, user := "spec.jwt.claimValidationRules", "spec.jwt.userValidationRules"
	good := func(int) any { return m{"expression": "true"} }
	return map[string]ruleCase{
		"a rule by a claim is accepted":               {spec: claims(m{"claim": "hd", "requiredValue": "example.com"})},
		"a rule by an expression is accepted":         {spec: claims(m{"expression": "claims.hd == 'example.com'", "message": "not ours"})},
		"a rule of nothing is refused":                {spec: claims(m{}), want: either},
		"a rule of claim and expression is refused":   {spec: claims(m{"claim": "hd", "requiredValue": "x", "expression": "true"}), want: either},
		"a rule by a claim without a value, refused":  {spec: claims(m{"claim": "hd"}), want: "requiredValue must be given with claim, and not without it"},
		"a value without a claim is refused":          {spec: claims(m{"expression": "true", "requiredValue": "x"}), want: "requiredValue must be given with claim, and not without it"},
		"a message with a claim is refused":           {spec: claims(m{"claim": "hd", "requiredValue": "x", "message": "y"}), want: "message may only be given with expression"},
		"a rule by an empty claim is refused":         {spec: claims(m{"claim": "", "requiredValue": "x"}), want: rule + "[0].claim in body should be at least 1 chars long"},
		"a rule by too long a claim is refused":       {spec: claims(m{"claim": long, "requiredValue": "x"}), want: rule + "[0].claim: Too long"},
		"a rule of an empty value is refused":         {spec: claims(m{"claim": "hd", "requiredValue": ""}), want: rule + "[0].requiredValue in body should be at least 1 chars long"},
		"a rule of a value of 1024 is accepted":       {spec: claims(m{"claim": "hd", "requiredValue": long[:1024]})},
		"a rule of a value of 1025 is refused":        {spec: claims(m{"claim": "hd", "requiredValue": long[:1025]}), want: rule + "[0].requiredValue: Too long"},
		"a rule by an empty expression is refused":    {spec: claims(m{"expression": ""}), want: rule + "[0].expression in body should be at least 1 chars long"},
		"a rule by too long an expression is refused": {spec: claims(m{"expression": long}), want: rule + "[0].expression: Too long"},
		"a rule with an empty message is refused":     {spec: claims(m{"expression": "true", "message": ""}), want: rule + "[0].message in body should be at least 1 chars long"},
		"a rule with a message of 257 is refused":     {spec: claims(m{"expression": "true", "message": long[:257]}), want: rule + "[0].message: Too long"},
		"16 rules are accepted":                       {spec: jwtSpec(m{"claimValidationRules": many(16, good)})},
		"17 rules are refused":                        {spec: jwtSpec(m{"claimValidationRules": many(17, good)}), want: rule + ": Too many"},
		"a list of no rules is refused":               {spec: jwtSpec(m{"claimValidationRules": l{}}), want: rule + " in body should have at least 1 items"},

		"a rule for users is accepted":                  {spec: users(m{"expression": "user.groups.size() > 0", "message": "no groups"})},
		"a rule for users without anything is refused":  {spec: users(m{}), want: user + "[0].expression: Required value"},
		"a rule for users of nothing is refused":        {spec: users(m{"expression": ""}), want: user + "[0].expression in body should be at least 1 chars long"},
		"a rule for users that is too long is refused":  {spec: users(m{"expression": long}), want: user + "[0].expression: Too long"},
		"a rule for users with no message is refused":   {spec: users(m{"expression": "true", "message": ""}), want: user + "[0].message in body should be at least 1 chars long"},
		"a rule for users with too long a message":      {spec: users(m{"expression": "true", "message": long[:257]}), want: user + "[0].message: Too long"},
		"16 rules for users are accepted":               {spec: jwtSpec(m{"userValidationRules": many(16, good)})},
		"17 rules for users are refused":                {spec: jwtSpec(m{"userValidationRules": many(17, good)}), want: user + ": Too many"},
		"a list of no rules for users, that is refused": {spec: jwtSpec(m{"userValidationRules": l{}}), want: user + " in body should have at least 1 items"},
	}
}

// publicIssuerCases are issuers that give a token to whoever asks: without a rule, all the world would be the users.
func publicIssuerCases() map[string]ruleCase {
	const want = "claimValidationRules must have at least one rule: the issuer gives tokens to everybody"
	issuer := func(u string, changes m) m {
		return jwtSpec(merged(m{"issuer": m{"url": u, "audiences": l{"a"}}}, changes))
	}
	cases := map[string]ruleCase{
		"a public issuer with a rule is accepted":             {spec: issuer("https://gitlab.com", m{"claimValidationRules": l{m{"claim": "namespace_id", "requiredValue": "1"}}})},
		"an issuer whose host ends alike is accepted":         {spec: issuer("https://notgitlab.com", nil)},
		"an issuer whose host begins alike is accepted":       {spec: issuer("https://gitlab.com.example.org", nil)},
		"an issuer with a public one in its path is accepted": {spec: issuer("https://issuer.example.com/https://gitlab.com", nil)},
	}
	for _, u := range []string{
		"https://token.actions.githubusercontent.com", "https://token.actions.githubusercontent.com/example", "https://gitlab.com",
		"https://GitLab.com", "https://gitlab.com:443", "https://gitlab.com/", "https://accounts.google.com", "https://agent.buildkite.com",
		"https://api.bitbucket.org/2.0/x", "https://app.terraform.io", "https://appleid.apple.com", "https://login.microsoftonline.com/common/v2.0",
		"https://oauth2.sigstore.dev/auth", "https://oidc.circleci.com/org/x", "https://oidc.codefresh.io", "https://oidc.vercel.com",
	} {
		cases["the public issuer "+u+" without a rule is refused"] = ruleCase{spec: issuer(u, nil), want: want}
	}
	return cases
}
