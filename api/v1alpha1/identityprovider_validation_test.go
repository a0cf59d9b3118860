package v1alpha1_test

import (
	"maps"
	"strings"
)

func identityProviderCases() map[string]ruleCase {
	long := strings.Repeat("x", 254)
	htpasswd := func(changes m) m { return m{"htpasswd": changes} }
	secret := func(changes m) m { return m{"htpasswd": m{"secretRef": changes}} }
	kubernetes := func(changes m) m {
		return m{"htpasswd": nil, "kubernetes": merged(m{"audiences": l{"tokenwright"}}, changes)}
	}
	cases := map[string]ruleCase{
		"a provider without a spec is refused":           {bare: m{}, want: "exactly one of the fields in [htpasswd kubernetes jwt] must be set"},
		"a provider of two sorts is refused":             {spec: m{"kubernetes": m{"audiences": l{"tokenwright"}}}, want: "exactly one of the fields in [htpasswd kubernetes jwt] must be set"},
		"a provider of an unknown sort is refused":       {bare: m{"ldap": m{}}, want: "exactly one of the fields in [htpasswd kubernetes jwt] must be set"},
		"htpasswd without a Secret is refused":           {bare: htpasswd(m{}), want: "spec.htpasswd.secretRef: Required value"},
		"htpasswd with an unnamed Secret is refused":     {bare: secret(m{}), want: "spec.htpasswd.secretRef.name: Required value"},
		"a Secret with an empty name is refused":         {spec: secret(m{"name": ""}), want: "spec.htpasswd.secretRef.name in body should be at least 1 chars long"},
		"a Secret's name of 253 characters is accepted":  {spec: secret(m{"name": long[:253]})},
		"a Secret's name of 254 characters is refused":   {spec: secret(m{"name": long}), want: "spec.htpasswd.secretRef.name: Too long"},
		"a key of 253 characters is accepted":            {spec: secret(m{"key": long[:253]})},
		"a key of 254 characters is refused":             {spec: secret(m{"key": long}), want: "spec.htpasswd.secretRef.key: Too long"},
		"an empty key is refused":                        {spec: secret(m{"key": ""}), want: "spec.htpasswd.secretRef.key in body should be at least 1 chars long"},
		"a groups key of 253 characters is accepted":     {spec: htpasswd(m{"groupsKey": long[:253]})},
		"a groups key of 254 characters is refused":      {spec: htpasswd(m{"groupsKey": long}), want: "spec.htpasswd.groupsKey: Too long"},
		"an empty groups key is refused":                 {spec: htpasswd(m{"groupsKey": ""}), want: "spec.htpasswd.groupsKey in body should be at least 1 chars long"},
		"an empty prefix is accepted":                    {spec: htpasswd(m{"prefix": ""})},
		"a prefix of 64 characters is accepted":          {spec: htpasswd(m{"prefix": long[:64]})},
		"a prefix that ends in a dash is accepted":       {spec: htpasswd(m{"prefix": "corp-"})},
		"a prefix with a colon is refused":               {spec: htpasswd(m{"prefix": "corp:"}), want: "prefix must not contain a colon"},
		"the prefix of Provide's users is accepted":      {spec: htpasswd(m{"prefix": "user:"})},
		"a prefix that begins like that is refused":      {spec: htpasswd(m{"prefix": "user:x"}), want: "prefix must not contain a colon"},
		"a prefix of 65 characters is refused":           {spec: htpasswd(m{"prefix": long[:65]}), want: "spec.htpasswd.prefix: Too long"},
		"the prefix of Kubernetes' own names is refused": {spec: htpasswd(m{"prefix": "system:"}), want: "prefix must not contain a colon"},
		"a prefix beyond Kubernetes' own is refused":     {spec: htpasswd(m{"prefix": "system:serviceaccount:"}), want: "prefix must not contain a colon"},

		"kubernetes is accepted":                       {spec: kubernetes(nil)},
		"kubernetes without audiences is refused":      {bare: m{"kubernetes": m{}}, want: "spec.kubernetes.audiences: Required value"},
		"kubernetes with no audience is refused":       {spec: kubernetes(m{"audiences": l{}}), want: "spec.kubernetes.audiences in body should have at least 1 items"},
		"kubernetes with 8 audiences is accepted":      {spec: kubernetes(m{"audiences": many(8, text("a%d"))})},
		"kubernetes with 9 audiences is refused":       {spec: kubernetes(m{"audiences": many(9, text("a%d"))}), want: "must have at most 8 items"},
		"kubernetes with an audience twice is refused": {spec: kubernetes(m{"audiences": l{"a", "a"}}), want: `spec.kubernetes.audiences[1]: Duplicate value: "a"`},
		"kubernetes asked online is accepted":          {spec: kubernetes(m{"verification": "Online"})},
		"kubernetes never asked is accepted":           {spec: kubernetes(m{"verification": "Offline"})},
		"kubernetes asked sometimes is refused":        {spec: kubernetes(m{"verification": "Sometimes"}), want: `spec.kubernetes.verification: Unsupported value: "Sometimes"`},
		"a type in the status is accepted":             {status: m{"type": "htpasswd"}},
		"a type of 33 characters is refused":           {status: m{"type": long[:33]}, want: "status.type: Too long"},
	}
	maps.Copy(cases, audienceCases("spec.kubernetes.audiences", func(a string) m { return kubernetes(m{"audiences": l{a}}) }))
	return cases
}
