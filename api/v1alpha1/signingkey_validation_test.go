package v1alpha1_test

import (
	"maps"
	"strings"
)

func signingKeyCases() map[string]ruleCase {
	long := strings.Repeat("x", 254)
	rotation := func(changes m) m { return m{"rotation": changes} }
	selector := m{"matchLabels": m{"team": "a"}}
	cases := map[string]ruleCase{
		"a key without audiences is refused":           {bare: m{}, want: "spec.audiences: Required value"},
		"a key with an empty list is refused":          {spec: m{"audiences": l{}}, want: "spec.audiences in body should have at least 1 items"},
		"a key for 16 audiences is accepted":           {spec: m{"audiences": many(16, text("a%d"))}},
		"a key for 17 audiences is refused":            {spec: m{"audiences": many(17, text("a%d"))}, want: "must have at most 16 items"},
		"a key for one audience twice is refused":      {spec: m{"audiences": l{"a", "a"}}, want: `spec.audiences[1]: Duplicate value: "a"`},
		"a key's name of 200 characters is accepted":   {name: long[:200]},
		"a key's name of 201 characters is refused":    {name: long[:201], want: "metadata.name must have at most 200 characters"},
		"namespaces by selector are accepted":          {spec: m{"namespaces": m{"from": "Selector", "selector": selector}}},
		"no namespaces are accepted":                   {spec: m{"namespaces": m{"from": "None"}}},
		"namespaces from somewhere are refused":        {spec: m{"namespaces": m{"from": "Some"}}, want: `spec.namespaces.from: Unsupported value: "Some"`},
		"a selector without saying so is refused":      {spec: m{"namespaces": m{"selector": selector}}, want: "selector must be given when from is Selector, and only then"},
		"saying so without a selector is refused":      {spec: m{"namespaces": m{"from": "Selector"}}, want: "selector must be given when from is Selector, and only then"},
		"an unknown algorithm is refused":              {spec: m{"algorithm": "HS256"}, want: `spec.algorithm: Unsupported value: "HS256"`},
		"no algorithm at all is refused":               {spec: m{"algorithm": "none"}, want: `spec.algorithm: Unsupported value: "none"`},
		"an RSA key of 4096 bits is accepted":          {spec: m{"algorithm": "PS256", "rsaKeySize": 4096}},
		"an RSA key of 1024 bits is refused":           {spec: m{"algorithm": "RS256", "rsaKeySize": 1024}, want: "spec.rsaKeySize: Unsupported value: 1024"},
		"a size of an elliptic key is refused":         {spec: m{"rsaKeySize": 3072}, want: "rsaKeySize may only be given with an RS or PS algorithm"},
		"tokens for a minute are accepted":             {spec: m{"tokenLifetime": "1m"}},
		"tokens for 59 seconds are refused":            {spec: m{"tokenLifetime": "59s"}, want: "tokenLifetime must be from 1m to 24h"},
		"tokens for a day and a second are refused":    {spec: m{"tokenLifetime": "24h0m1s"}, want: "tokenLifetime must be from 1m to 24h"},
		"tokens that outlive the interval are refused": {spec: m{"tokenLifetime": "3h", "rotation": m{"interval": "150m", "publishAhead": "1m"}}, want: "tokenLifetime must not be longer than rotation.interval"},
		"tokens as long as the interval are accepted":  {spec: m{"tokenLifetime": "3h", "rotation": m{"interval": "3h"}}},
		"without rotation tokens may outlive it":       {spec: m{"tokenLifetime": "3h", "rotation": m{"mode": "Never", "interval": "150m"}}},
		"keys known by id only are accepted":           {spec: m{"keyIdentification": "KeyID"}},
		"keys known by heart are refused":              {spec: m{"keyIdentification": "Heart"}, want: `spec.keyIdentification: Unsupported value: "Heart"`},
		"key ids as registry 2 has them are accepted":  {spec: m{"keyIDFormat": "LibTrust"}},
		"key ids as SSH has them are accepted":         {spec: m{"keyIDFormat": "SSHFingerprintMD5"}},
		"key ids as nobody has them are refused":       {spec: m{"keyIDFormat": "CRC32"}, want: `spec.keyIDFormat: Unsupported value: "CRC32"`},
		"tokens without end by key id are accepted":    {spec: m{"nonExpiringTokens": "Allowed", "keyIdentification": "KeyID"}},
		"tokens without end by chain are refused":      {spec: m{"nonExpiringTokens": "Allowed"}, want: "nonExpiringTokens may only be Allowed when keyIdentification is KeyID"},
		"tokens perhaps without end are refused":       {spec: m{"nonExpiringTokens": "Maybe"}, want: `spec.nonExpiringTokens: Unsupported value: "Maybe"`},

		"rotation by hand is accepted":                     {spec: rotation(m{"mode": "Manual"})},
		"rotation by chance is refused":                    {spec: rotation(m{"mode": "Random"}), want: `spec.rotation.mode: Unsupported value: "Random"`},
		"rotation every minute is accepted":                {spec: m{"tokenLifetime": "1m", "rotation": m{"interval": "1m", "publishAhead": "0s"}}},
		"rotation every 59 seconds is refused":             {spec: rotation(m{"interval": "59s", "publishAhead": "0s"}), want: "interval must be at least 1m"},
		"a key published as long ahead as used is refused": {spec: rotation(m{"interval": "2h", "publishAhead": "2h"}), want: "publishAhead must be shorter than interval"},
		"a key published longer ahead is refused":          {spec: rotation(m{"interval": "2h", "publishAhead": "119m61s"}), want: "publishAhead must be shorter than interval"},
		"an interval below the default ahead is refused":   {spec: rotation(m{"interval": "1h"}), want: "publishAhead must be shorter than interval"},

		"64 revoked keys are accepted":              {spec: m{"revokedKeyIDs": many(64, text("k%d"))}},
		"65 revoked keys are refused":               {spec: m{"revokedKeyIDs": many(65, text("k%d"))}, want: "must have at most 64 items"},
		"a key revoked twice is refused":            {spec: m{"revokedKeyIDs": l{"k", "k"}}, want: `spec.revokedKeyIDs[1]: Duplicate value: "k"`},
		"a revoked key without an id is refused":    {spec: m{"revokedKeyIDs": l{""}}, want: "spec.revokedKeyIDs[0] in body should be at least 1 chars long"},
		"a revoked key of 128 characters is fine":   {spec: m{"revokedKeyIDs": l{long[:128]}}},
		"a revoked key of 129 characters is not":    {spec: m{"revokedKeyIDs": l{long[:129]}}, want: "spec.revokedKeyIDs[0]: Too long"},
		"a ConfigMap's name is accepted":            {spec: m{"publish": m{"configMapName": "registry.keys-1"}}},
		"a ConfigMap's empty name is refused":       {spec: m{"publish": m{"configMapName": ""}}, want: "spec.publish.configMapName in body should be at least 1 chars long"},
		"a ConfigMap's long name is refused":        {spec: m{"publish": m{"configMapName": long}}, want: "spec.publish.configMapName: Too long"},
		"a ConfigMap's name with a path is refused": {spec: m{"publish": m{"configMapName": "../keys"}}, want: "spec.publish.configMapName in body should match"},
		"64 namespaces to publish in are accepted":  {spec: m{"publish": m{"namespaces": many(64, text("n%d"))}}},
		"65 namespaces to publish in are refused":   {spec: m{"publish": m{"namespaces": many(65, text("n%d"))}}, want: "must have at most 64 items"},
		"a namespace given twice is refused":        {spec: m{"publish": m{"namespaces": l{"n", "n"}}}, want: `spec.publish.namespaces[1]: Duplicate value: "n"`},
		"a namespace without a name is refused":     {spec: m{"publish": m{"namespaces": l{""}}}, want: "spec.publish.namespaces[0] in body should be at least 1 chars long"},
		"a namespace of 64 characters is refused":   {spec: m{"publish": m{"namespaces": l{long[:64]}}}, want: "spec.publish.namespaces[0]: Too long"},
		"a namespace in upper case is refused":      {spec: m{"publish": m{"namespaces": l{"Team"}}}, want: "spec.publish.namespaces[0] in body should match"},
	}
	for _, algorithm := range []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		cases["the algorithm "+algorithm+" is accepted"] = ruleCase{spec: m{"algorithm": algorithm}}
	}
	maps.Copy(cases, audienceCases("spec.audiences", func(a string) m { return m{"audiences": l{a}} }))
	maps.Copy(cases, durationCases("spec.tokenLifetime", func(v string) m { return m{"tokenLifetime": v} }))
	maps.Copy(cases, durationCases("spec.rotation.interval", func(v string) m { return rotation(m{"interval": v}) }))
	maps.Copy(cases, durationCases("spec.rotation.publishAhead", func(v string) m { return rotation(m{"publishAhead": v}) }))
	return cases
}

// key is one key of a status; changes are laid over it.
func key(changes m) m {
	return m{"keys": l{merged(m{"keyID": "k", "thumbprint": "t", "state": "Active"}, changes)}}
}

func signingKeyStatusCases() map[string]ruleCase {
	long := strings.Repeat("x", 2049)
	keys := func(n int) l {
		return many(n, func(i int) any { return m{"keyID": "k", "thumbprint": text("t%d")(i), "state": "Retired"} })
	}
	cases := map[string]ruleCase{
		"256 keys are accepted":                     {status: m{"keys": keys(256)}},
		"257 keys are refused":                      {status: m{"keys": keys(257)}, want: "must have at most 256 items"},
		"a key listed twice is refused":             {status: m{"keys": append(keys(1), keys(1)...)}, want: "status.keys[1]: Duplicate value"},
		"a key without an id is refused":            {status: key(m{"keyID": nil}), want: "status.keys[0].keyID: Required value"},
		"a key with an empty id is refused":         {status: key(m{"keyID": ""}), want: "status.keys[0].keyID in body should be at least 1 chars long"},
		"a key with a long id is refused":           {status: key(m{"keyID": long[:129]}), want: "status.keys[0].keyID: Too long"},
		"a key without a thumbprint is refused":     {status: key(m{"thumbprint": nil}), want: "status.keys[0].thumbprint: Required value"},
		"a key with an empty thumbprint is refused": {status: key(m{"thumbprint": ""}), want: "status.keys[0].thumbprint in body should be at least 1 chars long"},
		"a key with a long thumbprint is refused":   {status: key(m{"thumbprint": long[:65]}), want: "status.keys[0].thumbprint: Too long"},
		"a key without a state is refused":          {status: key(m{"state": nil}), want: "status.keys[0].state: Required value"},
		"a key in an unknown state is refused":      {status: key(m{"state": "Lost"}), want: `status.keys[0].state: Unsupported value: "Lost"`},
		"a key with its public part is accepted":    {status: key(m{"jwk": `{"kty":"EC"}`})},
		"a key with half a public part is refused":  {status: key(m{"jwk": "{"}), want: "status.keys[0].jwk in body should be at least 2 chars long"},
		"a key with a long public part is refused":  {status: key(m{"jwk": long}), want: "status.keys[0].jwk: Too long"},
		"the id of the active key is accepted":      {status: m{"activeKeyID": long[:128]}},
		"an empty id of the active key is refused":  {status: m{"activeKeyID": ""}, want: "status.activeKeyID in body should be at least 1 chars long"},
		"a long id of the active key is refused":    {status: m{"activeKeyID": long[:129]}, want: "status.activeKeyID: Too long"},
		"a handled request is accepted":             {status: m{"lastHandledRotate": long[:256], "lastHandledRotateCA": long[:256]}},
		"a long request to rotate is refused":       {status: m{"lastHandledRotate": long[:257]}, want: "status.lastHandledRotate: Too long"},
		"a long request for a new CA is refused":    {status: m{"lastHandledRotateCA": long[:257]}, want: "status.lastHandledRotateCA: Too long"},
	}
	for _, state := range []string{"Pending", "Published", "Active", "Retired", "Revoked"} {
		cases["a key that is "+state+" is accepted"] = ruleCase{status: key(m{"state": state})}
	}
	times := timeCases("status.nextRotationTime", func(v string) m { return m{"nextRotationTime": v} })
	for _, name := range []string{"createdTime", "publishedTime", "activatedTime", "signUntil", "retiredTime", "removalTime"} {
		of := timeCases("status.keys[0]."+name, func(v string) m { return key(m{name: v}) })
		maps.Copy(times, of)
	}
	for sentence, c := range times {
		cases[sentence] = ruleCase{status: c.spec, want: c.want}
	}
	return cases
}
