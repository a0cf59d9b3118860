package v1alpha1_test

import (
	"fmt"
	"strings"
)

// Messages of the rules about names, and about subjects with system:.
const (
	variablesMessage  = "variables in a name must be ${subject.username}, ${subject.namespace}, ${subject.serviceAccount} or ${subject.extra.KEY}, and closed by }"
	deepMessage       = "** in a name must be a segment of its own"
	starsMessage      = "a name must have at most 4 stars"
	repositoryMessage = "names of type repository must be 1 to 16 segments with a slash between them, none of which is empty, . or .."
	pathMessage       = "names must be 1 to 16 segments with a slash between them, none of which is empty"
	natsMessage       = "names of type nats must be 1 to 16 tokens with a dot between them"
	oauthMessage      = "names of type oauth must not have **"
	userMessage       = "a user with system: must be system:anonymous or system:serviceaccount:<namespace>:<name>"
	groupMessage      = "a group with system: must be system:authenticated, system:unauthenticated, system:serviceaccounts"
	accountMessage    = "name must be that of a ServiceAccount"
)

// nameCases are the rules about names of types that both kinds of policy may speak of. That a rule refuses nothing but
// what the compiler refuses is shown in test/door.
func nameCases() map[string]ruleCase {
	named := func(names ...any) m { return rule(m{"names": l(names)}) }
	album := func(name string) m { return rule(m{"type": "album", "names": l{name}}) }
	segments := func(n int, segment string) string { return strings.TrimSuffix(strings.Repeat(segment+"/", n), "/") }
	cases := map[string]ruleCase{
		"the second of two names is looked at":          {spec: named("team-a/x", "team-a//x"), want: "spec.rules[0].names"},
		"a name that is refused is told":                {spec: named("team-a/x", "team-a/***"), want: `spec.rules[0].names[1]: Invalid value: "team-a/***"`},
		"a variable that is not closed":                 {spec: named("team-a/${subject.username"), want: variablesMessage},
		"a variable that is opened and no more":         {spec: named("team-a/${"), want: variablesMessage},
		"an unknown variable":                           {spec: named("team-a/${subject.nme}"), want: variablesMessage},
		"a variable without subject":                    {spec: named("team-a/${username}"), want: variablesMessage},
		"a variable in upper case":                      {spec: named("team-a/${SUBJECT.USERNAME}"), want: variablesMessage},
		"a variable with white space":                   {spec: named("team-a/${ subject.username }"), want: variablesMessage},
		"extra without a key":                           {spec: named("team-a/${subject.extra.}"), want: variablesMessage},
		"a key of extra with a star":                    {spec: named("team-a/${subject.extra.*}"), want: variablesMessage},
		"a key of extra that opens another":             {spec: named("team-a/${subject.extra.${subject.username}}"), want: variablesMessage},
		"a variable after dollar signs":                 {spec: named("team-a/$$${subject.nme}"), want: variablesMessage},
		"dollar signs and braces that are no variable":  {spec: named("team-a/$x/{y}/$", "$$/a}b{")},
		"a key of extra with slashes and dots":          {spec: named("team-a/${subject.extra.example.com/a/../b//c}/x")},
		"three stars":                                   {spec: named("team-a/***"), want: deepMessage},
		"two stars behind text":                         {spec: named("team-a**"), want: deepMessage},
		"two stars before text":                         {spec: named("team-a/**x"), want: deepMessage},
		"two stars behind a variable":                   {spec: named("team-a/${subject.username}**"), want: deepMessage},
		"two stars at both ends":                        {spec: named("**/team-a/**")},
		"two stars alone":                               {spec: named("**")},
		"four stars":                                    {spec: named("team-a/*/*a*/**")},
		"five stars":                                    {spec: named("team-a/*/*/*a*/*"), want: starsMessage},
		"five stars of two":                             {spec: named("**/a/**/b/**/c/**/d/**"), want: starsMessage},
		"five stars in one segment":                     {spec: named("team-a/*a*b*c*d*"), want: starsMessage},
		"16 segments":                                   {spec: named(segments(16, "x"), segments(4, "${subject.extra.a/b/c}")+"/"+segments(12, "x"))},
		"17 segments":                                   {spec: named(segments(17, "x")), want: repositoryMessage},
		"17 segments of an album":                       {spec: album(segments(17, "x")), want: pathMessage},
		"a slash first":                                 {spec: named("/team-a/x"), want: repositoryMessage},
		"a slash last":                                  {spec: named("team-a/"), want: repositoryMessage},
		"two slashes":                                   {spec: named("team-a//x"), want: repositoryMessage},
		"nothing but a slash":                           {spec: named("/"), want: repositoryMessage},
		"one dot as a segment":                          {spec: named("team-a/./x"), want: repositoryMessage},
		"two dots as a segment":                         {spec: named("team-a/../team-b/x"), want: repositoryMessage},
		"two dots first":                                {spec: named("../team-b/x"), want: repositoryMessage},
		"two dots last":                                 {spec: named("team-a/.."), want: repositoryMessage},
		"segments that only begin with dots":            {spec: named(".a/..b/.../.*/..${subject.username}", "team-a/..*")},
		"dots as segments of an album":                  {spec: album("a/../b/.")},
		"two slashes of an album":                       {spec: album("a//b"), want: pathMessage},
		"a name that is a word in another script":       {spec: named("команда/*")},
		"all that a repository's name may hold is fine": {spec: named("registry.example.com:5000/a_b-c.d/**", "a/b@sha256:c", "a b/c")},
	}
	for i, variable := range []string{"subject.username", "subject.namespace", "subject.serviceAccount", "subject.extra.k", "subject.extra.example.com/team"} {
		cases["the variable "+variable+" is accepted"] = ruleCase{spec: named(fmt.Sprintf("team-%d/a-${%s}-*/x", i, variable))}
	}
	return cases
}

// clusterNameCases are the rules about names of types that only the platform team may speak of.
func clusterNameCases() map[string]ruleCase {
	nats := func(name string) m { return rule(m{"type": "nats", "names": l{name}, "actions": l{"publish"}}) }
	oauth := func(name string) m { return rule(m{"type": "oauth", "names": l{name}, "actions": l{"introspect"}}) }
	tokens := func(n int) string { return strings.TrimSuffix(strings.Repeat("x.", n), ".") }
	return map[string]ruleCase{
		"an audience with a star is accepted":             {spec: oauth("https://*.example.com/*//x")},
		"an audience with two stars is refused":           {spec: oauth("https://example.com/**"), want: oauthMessage},
		"an audience that is two stars is refused":        {spec: oauth("**"), want: oauthMessage},
		"an audience with five stars is refused":          {spec: oauth("*a*b*c*d*"), want: starsMessage},
		"a subject of NATS with stars is accepted":        {spec: nats("orders.*.eu.*.>")},
		"all subjects of NATS are accepted":               {spec: nats(">")},
		"a subject of NATS with a variable is accepted":   {spec: nats("users.${subject.extra.a.b>c}-x.inbox")},
		"a subject of NATS with slashes is accepted":      {spec: nats("a/b//c.d")},
		"a star in a token is refused":                    {spec: nats("orders.eu*"), want: natsMessage},
		"a star beside a variable is refused":             {spec: nats("${subject.username}*"), want: natsMessage},
		"two stars as a token are refused":                {spec: nats("**"), want: natsMessage},
		"the rest in the middle is refused":               {spec: nats("orders.>.x"), want: natsMessage},
		"the rest in a token is refused":                  {spec: nats("orders.eu>"), want: natsMessage},
		"an empty token is refused":                       {spec: nats("orders..eu"), want: natsMessage},
		"a dot first is refused":                          {spec: nats(".orders"), want: natsMessage},
		"a dot last is refused":                           {spec: nats("orders."), want: natsMessage},
		"white space in a token is refused":               {spec: nats("orders.e u"), want: natsMessage},
		"white space of another sort is refused":          {spec: nats("orders.e\u2003u"), want: natsMessage},
		"16 tokens are accepted":                          {spec: nats(tokens(16))},
		"17 tokens are refused":                           {spec: nats(tokens(17)), want: natsMessage},
		"16 tokens and the rest are refused":              {spec: nats(tokens(16) + ".>"), want: natsMessage},
		"four stars and the rest are refused":             {spec: nats("*.*.*.*.>"), want: natsMessage},
		"five stars are refused":                          {spec: nats("*.*.*.*.*"), want: starsMessage},
		"a registry's name in the grammar of paths":       {spec: rule(m{"type": "registry", "names": l{"catalog//x"}, "actions": l{"*"}}), want: pathMessage},
		"a variable of NATS that is not known is refused": {spec: nats("users.${subject.nme}"), want: variablesMessage},
	}
}

// reservedCases are the rules about users, groups and ServiceAccounts that nobody can be.
func reservedCases() map[string]ruleCase {
	user := func(name string) m { return subject(m{"name": name}) }
	group := func(name string) m { return subject(m{"kind": "Group", "name": name}) }
	account := func(namespace, name string) m {
		return subject(m{"kind": "ServiceAccount", "namespace": namespace, "name": name})
	}
	cases := map[string]ruleCase{
		"the anonymous user is accepted":                {spec: user("system:anonymous")},
		"a ServiceAccount as a user is accepted":        {spec: user("system:serviceaccount:team-a:ci")},
		"a user that only looks reserved is accepted":   {spec: user("System:admin")},
		"a ServiceAccount with dots is accepted":        {spec: account("team-a", "ci.example.com")},
		"a ServiceAccount of 253 characters is fine":    {spec: account("team-a", strings.Repeat("x", 253))},
		"a ServiceAccount of 254 characters is refused": {spec: account("team-a", strings.Repeat("x", 254)), want: accountMessage},
		"a group of one namespace is accepted":          {spec: group("system:serviceaccounts:team-a")},
		"a group that only looks reserved is accepted":  {spec: group("systems:masters")},
	}
	for _, name := range []string{"system:authenticated", "system:unauthenticated", "system:serviceaccounts"} {
		cases["the group "+name+" is accepted"] = ruleCase{spec: group(name)}
	}
	for _, name := range []string{
		"system:", "system:masters", "system:kube-scheduler", "system:node:worker-1", "system:Anonymous", "system:anonymous ", "system:anonymous2",
		"system:serviceaccount", "system:serviceaccount:team-a", "system:serviceaccount:team-a:", "system:serviceaccount::ci", "system:serviceaccount:team-a:ci:x",
		"system:serviceaccounts:team-a", "system:unauthenticated",
	} {
		cases["the user "+name+" is refused"] = ruleCase{spec: user(name), want: userMessage}
	}
	for _, name := range []string{
		"system:", "system:masters", "system:nodes", "system:authenticatd", "system:anonymous", "system:serviceaccounts:", "system:serviceaccounts:Team-A",
		"system:serviceaccounts:team-a:ci", "system:serviceaccounts:-a", "system:serviceaccounts:a_b", "system:serviceaccounts:" + strings.Repeat("x", 64),
	} {
		cases["the group "+name+" is refused"] = ruleCase{spec: group(name), want: groupMessage}
	}
	for _, name := range []string{"Ci", "ci_bot", "-ci", "ci-", "ci..x", ".ci", "ci:x", "сі", "ci/x", "system:anonymous"} {
		cases["the ServiceAccount "+name+" is refused"] = ruleCase{spec: account("team-a", name), want: accountMessage}
	}
	for _, namespace := range []string{"Team-A", "team.a", "-a", "a-", "a b", "teаm", "team-a:ci", "*"} {
		cases["a ServiceAccount of the namespace "+namespace+" is refused"] = ruleCase{
			spec: account(namespace, "ci"), want: "spec.subjects[0].namespace in body should match",
		}
	}
	return cases
}
