package v1alpha1_test

import (
	"fmt"
	"maps"
	"strings"
)

func protectedResourceCases() map[string]ruleCase {
	field := func(path string) func(string) m { return func(v string) m { return at(path, v) } }
	attributes := func(items ...any) m { return m{"attributes": l(items)} }
	long := strings.Repeat("x", 1025)
	const (
		reserved = "type must not be repository, registry, nats or oauth: those have a meaning of their own"
		system   = "owner must not start with system: unless it is a ServiceAccount's user name"
	)
	cases := map[string]ruleCase{
		"a resource without an audience is refused": {spec: m{"audience": nil}, want: "spec.audience: Required value"},
		"an audience with a line break is refused":  {spec: m{"audience": "a\nb"}, want: "spec.audience in body should match"},
		"a display name in any script is accepted":  {spec: m{"displayName": "Zoës Ferien: 2026/07"}},
		"a display name with a line break is not":   {spec: m{"displayName": "a\nb"}, want: "spec.displayName in body should match"},
		"a type as of Keycloak is accepted":         {spec: m{"type": "urn:photos:resources:album"}},
		"a type that is a URL is accepted":          {spec: m{"type": "https://example.com/album"}},
		"a type that ends with a slash is refused":  {spec: m{"type": "album/"}, want: "spec.type in body should match"},
		"a type with a blank is refused":            {spec: m{"type": "photo album"}, want: "spec.type in body should match"},
		"a type that begins with ours is accepted":  {spec: m{"type": "repository-album"}},
		"a type of ours in upper case is another":   {spec: m{"type": "Repository"}},
		"that the owner manages it is accepted":     {spec: m{"owner": "alice", "ownerManagedAccess": "Allowed"}},
		"a third answer to who manages it is not":   {spec: m{"ownerManagedAccess": "true"}, want: "spec.ownerManagedAccess: Unsupported value"},
		"a ServiceAccount owns":                     {spec: m{"owner": "system:serviceaccount:team-a:photos.v2"}},
		"everybody owns nothing":                    {spec: m{"owner": "system:anonymous"}, want: system},
		"a node owns nothing":                       {spec: m{"owner": "system:node:n1"}, want: system},
		"a group of ServiceAccounts owns nothing":   {spec: m{"owner": "system:serviceaccounts:team-a"}, want: system},
		"a ServiceAccount without a name is none":   {spec: m{"owner": "system:serviceaccount:team-a:"}, want: system},
		"a ServiceAccount without a namespace":      {spec: m{"owner": "system:serviceaccount::photos"}, want: system},
		"a ServiceAccount with a colon is none":     {spec: m{"owner": "system:serviceaccount:team-a:a:b"}, want: system},
		"a user whose name begins like that owns":   {spec: m{"owner": "systematic"}},
		"another owner later is accepted":           {change: m{"owner": "carol"}},
		"a fact is accepted":                        {spec: attributes(m{"key": "album", "values": l{"7", ""}})},
		"a fact without values is accepted":         {spec: attributes(m{"key": "album"})},
		"a fact without a key is refused":           {spec: attributes(m{"values": l{"a"}}), want: "spec.attributes[0].key: Required value"},
		"a fact with an empty key is refused":       {spec: attributes(m{"key": ""}), want: "spec.attributes[0].key in body should be at least 1 chars long"},
		"a fact's key of 257 characters is refused": {spec: attributes(m{"key": long[:257]}), want: "spec.attributes[0].key: Too long"},
		"a fact given twice is refused":             {spec: attributes(m{"key": "a"}, m{"key": "a"}), want: "spec.attributes[1]: Duplicate value"},
		"32 facts are accepted":                     {spec: m{"attributes": many(32, fact)}},
		"33 facts are refused":                      {spec: m{"attributes": many(33, fact)}, want: "must have at most 32 items"},
		"a fact of 64 values is accepted":           {spec: attributes(m{"key": "a", "values": many(64, text("v%d"))})},
		"a fact of 65 values is refused":            {spec: attributes(m{"key": "a", "values": many(65, text("v%d"))}), want: "must have at most 64 items"},
		"a fact's value of 1024 characters is fine": {spec: attributes(m{"key": "a", "values": l{long[:1024]}})},
		"a fact's value of 1025 characters is not":  {spec: attributes(m{"key": "a", "values": l{long}}), want: "spec.attributes[0].values[0]: Too long"},
		"an id that the manager found is accepted":  {status: m{"id": "default/" + strings.Repeat("x", 253)}},
		"an id of 321 characters is none":           {status: m{"id": strings.Repeat("x", 321)}, want: "status.id: Too long"},
		"all that a resource can have is accepted":  {spec: fullResource()},
		"8192 characters of facts are accepted": {
			spec: attributes(m{"key": "a", "values": l{long[:1024], long[:1024], long[:1024], long[:1024]}},
				m{"key": "b", "values": l{long[:1024], long[:1024], long[:1024], long[:1022]}}),
		},
		"8193 characters of facts are refused": {
			spec: attributes(m{"key": "a", "values": l{long[:1024], long[:1024], long[:1024], long[:1024]}},
				m{"key": "b", "values": l{long[:1024], long[:1024], long[:1024], long[:1023]}}),
			want: "spec.attributes: Invalid value: must have at most 8192 characters in all, keys and values together",
		},
		"an empty list of uris and facts is nothing": {spec: m{"uris": l{}, "attributes": l{}}},
	}
	for _, typ := range []string{"repository", "registry", "nats", "oauth"} {
		cases["the type "+typ+" is refused"] = ruleCase{spec: m{"type": typ}, want: reserved}
		cases["to become of the type "+typ+" is refused"] = ruleCase{change: m{"type": typ}, want: reserved}
	}
	maps.Copy(cases, optionalName("spec.audience", 253, field("audience")))
	maps.Copy(cases, optionalName("spec.displayName", 256, field("displayName")))
	maps.Copy(cases, optionalName("spec.type", 128, field("type")))
	maps.Copy(cases, optionalName("spec.owner", 256, field("owner")))
	maps.Copy(cases, scopeCases("spec.scopes", func(scopes l) m { return m{"scopes": scopes} }))
	cases["a resource without scopes is refused"] = ruleCase{spec: m{"scopes": nil}, want: "spec.scopes: Required value"}
	cases["a resource with an empty list of scopes is refused"] = ruleCase{spec: m{"scopes": l{}}, want: "spec.scopes in body should have at least 1 items"}
	cases["10,000 scopes are refused"] = ruleCase{spec: m{"scopes": many(10_000, text("scope-%d"))}, want: "must have at most 64 items"}
	return cases
}

// fullResource is everything at its bounds: what a rule costs must not refuse what the bounds allow.
func fullResource() m {
	path := func(i int) any {
		u := "https://photos.example.com" + strings.Repeat("/{a}", 4) + strings.Repeat("/b", 8) + "/" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		return u + strings.Repeat("x", 510-len(u)) + "/*"
	}
	return m{
		"id": strings.Repeat("i", 128), "displayName": strings.Repeat("é", 256), "type": strings.Repeat("t", 128), "uris": many(32, path),
		"scopes": many(64, text("scope-%d")), "owner": "system:serviceaccount:" + strings.Repeat("n", 63) + ":" + strings.Repeat("a", 170),
		"ownerManagedAccess": "Allowed", "audience": strings.Repeat("a", 253), "attributes": many(32, fact),
	}
}

// scopeCases are the rules of a list of scopes, beside how many there must be.
func scopeCases(path string, spec func(l) m) map[string]ruleCase {
	one := func(v string) m { return spec(l{v}) }
	return map[string]ruleCase{
		path + " of one word is accepted":            {spec: one("view")},
		path + " as a URL is accepted":               {spec: one("https://photos.example.com/scopes/view")},
		path + " of 64 characters is accepted":       {spec: one(strings.Repeat("x", 64))},
		path + " of 65 characters is refused":        {spec: one(strings.Repeat("x", 65)), want: path + "[0]: Too long"},
		path + " that is empty is refused":           {spec: one(""), want: path + "[0] in body should be at least 1 chars long"},
		path + " that is a star is refused":          {spec: one("*"), want: path + "[0] in body should match"},
		path + " with a blank is refused":            {spec: one("view delete"), want: path + "[0] in body should match"},
		path + " with a comma is refused":            {spec: one("view,delete"), want: path + "[0] in body should match"},
		path + " with a # is refused":                {spec: one("a#view"), want: path + "[0] in body should match"},
		path + " with a line break is refused":       {spec: one("view\n"), want: path + "[0] in body should match"},
		path + " given twice is refused":             {spec: spec(l{"view", "view"}), want: path + "[1]: Duplicate value"},
		path + " in upper case too is accepted":      {spec: spec(l{"view", "View"})},
		path + " up to 64 are accepted":              {spec: spec(many(64, text("scope-%d")))},
		path + " of which there are 65 are too many": {spec: spec(many(65, text("scope-%d"))), want: "must have at most 64 items"},
	}
}

// resourceIDCases: nobody can take the id that another resource has by default, which has a slash, and no id ever changes.
func resourceIDCases() map[string]ruleCase {
	const immutable = "id is immutable: create another ProtectedResource"
	withID := merged(protectedResource.spec, m{"id": "album-7"})
	id := func(v string) m { return m{"id": v} }
	const match = "spec.id in body should match"
	cases := map[string]ruleCase{
		"an id as of Keycloak is accepted":            {spec: id("5d5f7a2e-0c2f-4a7f-9b0a-0d6f0e3f8a11")},
		"an id with dots and tildes is accepted":      {spec: id("a.b_c~d-e")},
		"the default id of another is refused":        {spec: id("team-b/album"), want: match},
		"one's own default id is refused, too":        {spec: id("default/probe"), want: match},
		"an id with an encoded slash is refused":      {spec: id("team-b%2Falbum"), want: match},
		"an id with a blank is refused":               {spec: id("team b"), want: match},
		"an id with a # is refused":                   {spec: id("a#view"), want: match},
		"an id that begins with a dot is refused":     {spec: id(".."), want: match},
		"an id with a line break is refused":          {spec: id("album\n"), want: match},
		"an id where there was none is refused":       {change: id("album-7"), want: immutable},
		"no id where there was none is accepted":      {change: m{"owner": "carol"}},
		"another id is refused":                       {before: withID, change: id("album-8"), want: immutable},
		"no id where there was one is refused":        {before: withID, change: m{"id": nil}, want: immutable},
		"the same id is accepted":                     {before: withID, change: id("album-7")},
		"something else beside the id may change":     {before: withID, change: m{"type": "album", "owner": "carol"}},
		"an id that differs in case only is another":  {before: withID, change: id("Album-7"), want: immutable},
		"a scope that comes later has nothing to say": {before: withID, change: m{"scopes": l{"view", "delete"}}},
	}
	maps.Copy(cases, optionalName("spec.id", 128, id))
	return cases
}

// resourceClaimCases: what others may be kept from by its age does not change.
func resourceClaimCases() map[string]ruleCase {
	const name, audience = "displayName is immutable: create another ProtectedResource", "audience is immutable: create another ProtectedResource"
	named := merged(protectedResource.spec, m{"displayName": "Album"})
	cases := map[string]ruleCase{
		"a name where there was none is refused": {change: m{"displayName": "Album"}, want: name},
		"another name is refused":                {before: named, change: m{"displayName": "Albums"}, want: name},
		"no name where there was one is refused": {before: named, change: m{"displayName": nil}, want: name},
		"the same name is accepted":              {before: named, change: m{"displayName": "Album", "owner": "carol"}},
		"another audience is refused":            {change: m{"audience": "another.example.com"}, want: audience},
		"uris may come and go":                   {before: merged(protectedResource.spec, m{"uris": l{"/a"}}), change: m{"uris": l{"/b", "/c"}}},
	}
	claimed := func(uris ...any) m { return m{"uris": l(uris)} }
	claim := func(uri string) m { return m{"uri": uri, "since": "2026-01-01T00:00:00Z"} }
	maps.Copy(cases, map[string]ruleCase{
		"claims of 32 uris are accepted":        {status: claimed(many(32, func(i int) any { return claim(fmt.Sprint("/", i)) })...)},
		"claims of 33 uris are refused":         {status: claimed(many(33, func(i int) any { return claim(fmt.Sprint("/", i)) })...), want: "status.uris: Too many"},
		"two claims of one uri are refused":     {status: claimed(claim("/a"), claim("/a")), want: "status.uris[1]: Duplicate value"},
		"a claim of nothing is refused":         {status: claimed(m{"since": "2026-01-01T00:00:00Z"}), want: "status.uris[0].uri: Required value"},
		"a claim of an empty uri is refused":    {status: claimed(claim("")), want: "status.uris[0].uri in body should be at least 1 chars long"},
		"a claim of 512 characters is accepted": {status: claimed(claim("/" + strings.Repeat("é", 511)))},
		"a claim of 513 characters is refused":  {status: claimed(claim("/" + strings.Repeat("é", 512))), want: "status.uris[0].uri: Too long"},
		"a claim since no time is refused":      {status: claimed(m{"uri": "/a"}), want: "status.uris[0].since: Required value"},
	})
	for sentence, c := range timeCases("status.uris[0].since", func(v string) m { return claimed(m{"uri": "/a", "since": v}) }) {
		if c.spec != nil {
			cases[sentence] = ruleCase{status: c.spec, want: c.want}
		}
	}
	return cases
}

func resourceURICases() map[string]ruleCase {
	uris := func(list ...any) m { return m{"uris": l(list)} }
	const (
		match       = "spec.uris[0] in body should match"
		star        = "* in a uri must be the last segment"
		dots        = "a uri must not have the segment . or .."
		tooManyOf   = "a uri must not have more than 4 placeholders, and with them not more than 16 slashes"
		placeholder = "/{a}"
	)
	cases := map[string]ruleCase{
		"32 uris are accepted":                 {spec: m{"uris": many(32, text("/albums/%d"))}},
		"33 uris are refused":                  {spec: m{"uris": many(33, text("/albums/%d"))}, want: "must have at most 32 items"},
		"a uri given twice is refused":         {spec: uris("/a", "/a"), want: "spec.uris[1]: Duplicate value"},
		"an empty uri is refused":              {spec: uris(""), want: "spec.uris[0] in body should be at least 1 chars long"},
		"a uri of 512 characters is accepted":  {spec: uris("/" + strings.Repeat("x", 511))},
		"a uri of 513 characters is refused":   {spec: uris("/" + strings.Repeat("x", 512)), want: "spec.uris[0]: Too long"},
		"four placeholders are accepted":       {spec: uris(strings.Repeat(placeholder, 4) + strings.Repeat("/b", 12))},
		"five placeholders are refused":        {spec: uris(strings.Repeat(placeholder, 5)), want: tooManyOf},
		"17 slashes with a placeholder is not": {spec: uris(placeholder + strings.Repeat("/b", 16)), want: tooManyOf},
		"17 slashes without are accepted":      {spec: uris(strings.Repeat("/b", 17))},
		"the second uri is looked at, too":     {spec: uris("/a", "/a/../b"), want: dots},
	}
	for sentence, uri := range map[string]string{
		"the root": "/", "a path": "/albums/7", "a path that ends with a slash": "/albums/", "a placeholder": "/albums/{id}/photos", "all below": "/albums/*",
		"everything": "/*", "an absolute URI": "https://photos.example.com/albums/7", "an absolute URI with a port": "http://photos:8080/a",
		"a dot within a segment": "/a.b/..c", "an encoded letter": "/%41", "a letter of another script": "/Ärger",
	} {
		cases[sentence+" is accepted: "+uri] = ruleCase{spec: uris(uri)}
	}
	for uri, want := range map[string]string{
		"albums": match, "/a b": match, "/a?b=c": match, "/a#b": match, "/a\n": match, "ftp://x/a": match, "https://x": match, "https://*/a": match,
		"https://{host}/a": match, "/{}": match, "/a{id}": match, "/{id}b": match, "/{a/b}": match, "/}{": match,
		"/*/a": star, "/a*": star, "/**": star, "/a/*b": star, "/*/*": star,
		"/..": dots, "/.": dots, "/a/../b": dots, "/a/./b": dots, "https://x/../a": dots,
	} {
		cases["the uri "+uri+" is refused"] = ruleCase{spec: uris(uri), want: want}
	}
	return cases
}
