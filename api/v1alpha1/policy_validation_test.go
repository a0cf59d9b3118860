package v1alpha1_test

import (
	"fmt"
	"maps"
	"strings"
)

// user is a subject; changes are laid over it.
func user(changes m) m { return merged(m{"kind": "User", "name": "alice"}, changes) }

// subject returns a spec with one subject.
func subject(changes m) m { return m{"subjects": l{user(changes)}} }

// rule returns a spec with one rule; changes are laid over it.
func rule(changes m) m {
	return m{"rules": l{merged(m{"type": "repository", "names": l{"team-a/**"}, "actions": l{"pull"}}, changes)}}
}

func text(format string) func(int) any {
	return func(i int) any { return fmt.Sprintf(format, i) }
}

// policyCases are the rules that both kinds of policy have.
func policyCases() map[string]ruleCase {
	cases := map[string]ruleCase{
		"the smallest policy is accepted":        {},
		"a policy without a spec is refused":     {bare: m{}, want: "spec.subjects: Required value"},
		"effect Deny is accepted":                {spec: m{"effect": "Deny"}},
		"an effect that is neither is refused":   {spec: m{"effect": "Maybe"}, want: `spec.effect: Unsupported value: "Maybe"`},
		"64 subjects are accepted":               {spec: m{"subjects": many(64, func(i int) any { return user(m{"name": fmt.Sprint("u", i)}) })}},
		"65 subjects are refused":                {spec: m{"subjects": many(65, func(i int) any { return user(m{"name": fmt.Sprint("u", i)}) })}, want: "must have at most 64 items"},
		"no subject at all is refused":           {spec: m{"subjects": l{}}, want: "spec.subjects in body should have at least 1 items"},
		"16 audiences are accepted":              {spec: m{"audiences": many(16, text("a%d"))}},
		"17 audiences are refused":               {spec: m{"audiences": many(17, text("a%d"))}, want: "must have at most 16 items"},
		"an audience given twice is refused":     {spec: m{"audiences": l{"a", "a"}}, want: `spec.audiences[1]: Duplicate value: "a"`},
		"64 rules are accepted":                  {spec: m{"rules": rulesOf(64)}},
		"65 rules are refused":                   {spec: m{"rules": rulesOf(65)}, want: "must have at most 64 items"},
		"10,000 rules are refused":               {spec: m{"rules": rulesOf(10_000)}, want: "spec.rules: Too many: 10000: must have at most 64 items"},
		"the greatest policy is accepted":        {spec: greatest()},
		"a list where an object should be":       {spec: m{"when": l{}}, want: "spec.when: Invalid value"},
		"a number where a string should be":      {spec: m{"effect": 1}, want: "spec.effect in body must be of type string"},
		"nothing said is refused":                {spec: m{"rules": nil}, want: "rules"},
		"an empty list of rules is refused":      {spec: m{"rules": l{}}, want: "rules"},
		"a null list of subjects is refused":     {bare: m{"subjects": nil, "rules": l{}}, want: "spec.subjects"},
		"a policy on all repositories is schema": {spec: rule(m{"names": l{"**"}})},
	}
	maps.Copy(cases, audienceCases("spec.audiences", func(a string) m { return m{"audiences": l{a}} }))
	maps.Copy(cases, subjectCases())
	maps.Copy(cases, ruleCases())
	maps.Copy(cases, nameCases())
	maps.Copy(cases, reservedCases())
	maps.Copy(cases, whenCases())
	return cases
}

func rulesOf(n int) l {
	return many(n, func(i int) any { return rule(m{"names": l{fmt.Sprintf("team-a/%d", i)}})["rules"].(l)[0] })
}

// greatest is a policy in which every list and string of a rule is as long as it may be, within etcd's bounds.
func greatest() m {
	names := many(32, func(i int) any { return fmt.Sprintf("team-a/%02d%s", i, strings.Repeat("x", 247)) })
	actions := many(16, func(i int) any { return fmt.Sprintf("a%02d%s", i, strings.Repeat("x", 61)) })
	return m{"rules": many(64, func(int) any { return m{"type": "repository", "names": names, "actions": actions} })}
}

func subjectCases() map[string]ruleCase {
	long := strings.Repeat("x", 256)
	return map[string]ruleCase{
		"a Group is accepted":                              {spec: subject(m{"kind": "Group", "name": "system:authenticated"})},
		"a ServiceAccount with a namespace is accepted":    {spec: subject(m{"kind": "ServiceAccount", "namespace": "team-a"})},
		"a ServiceAccount without a namespace is refused":  {spec: subject(m{"kind": "ServiceAccount"}), want: "namespace must be given for a ServiceAccount"},
		"a User with a namespace is refused":               {spec: subject(m{"namespace": "team-a"}), want: "namespace may only be given for a ServiceAccount"},
		"a Group with a namespace is refused":              {spec: subject(m{"kind": "Group", "namespace": "team-a"}), want: "namespace may only be given for a ServiceAccount"},
		"a subject of kind Robot is refused":               {spec: subject(m{"kind": "Robot"}), want: `spec.subjects[0].kind: Unsupported value: "Robot"`},
		"a subject without a kind is refused":              {spec: subject(m{"kind": nil}), want: "spec.subjects[0].kind: Required value"},
		"a subject without a name is refused":              {spec: subject(m{"name": nil}), want: "spec.subjects[0].name: Required value"},
		"a subject with an empty name is refused":          {spec: subject(m{"name": ""}), want: "spec.subjects[0].name in body should be at least 1 chars long"},
		"a subject's name of 256 characters is accepted":   {spec: subject(m{"name": long})},
		"a subject's name of 257 characters is refused":    {spec: subject(m{"name": long + "x"}), want: "spec.subjects[0].name: Too long"},
		"a subject's namespace of 63 characters is fine":   {spec: subject(m{"kind": "ServiceAccount", "namespace": long[:63]})},
		"a subject's namespace of 64 characters is not":    {spec: subject(m{"kind": "ServiceAccount", "namespace": long[:64]}), want: "spec.subjects[0].namespace: Too long"},
		"a subject's empty namespace is refused":           {spec: subject(m{"kind": "ServiceAccount", "namespace": ""}), want: "spec.subjects[0].namespace in body should be at least 1 chars long"},
		"two subjects of the same name are one too many":   {spec: m{"subjects": l{user(nil), user(nil)}}},
		"a subject may have a name with odd characters in": {spec: subject(m{"name": "corp:Zoë <z@example.com>"})},
	}
}

func ruleCases() map[string]ruleCase {
	long := strings.Repeat("x", 256)
	return map[string]ruleCase{
		"a rule of a ProtectedResource's type is accepted": {spec: rule(m{"type": "https://example.com/album"})},
		"a rule without a type is refused":                 {spec: rule(m{"type": nil}), want: "spec.rules[0].type: Required value"},
		"a rule with an empty type is refused":             {spec: rule(m{"type": ""}), want: "spec.rules[0].type in body should be at least 1 chars long"},
		"a rule's type of 128 characters is accepted":      {spec: rule(m{"type": long[:128]})},
		"a rule's type of 129 characters is refused":       {spec: rule(m{"type": long[:129]}), want: "spec.rules[0].type: Too long"},
		"a rule's type with a space is refused":            {spec: rule(m{"type": "re po"}), want: "spec.rules[0].type in body should match"},
		"a rule's type that ends with a slash is refused":  {spec: rule(m{"type": "album/"}), want: "spec.rules[0].type in body should match"},
		"a rule without names is refused":                  {spec: rule(m{"names": nil}), want: "spec.rules[0].names: Required value"},
		"a rule with an empty list of names is refused":    {spec: rule(m{"names": l{}}), want: "spec.rules[0].names in body should have at least 1 items"},
		"32 names are accepted":                            {spec: rule(m{"names": many(32, text("team-a/%d"))})},
		"33 names are refused":                             {spec: rule(m{"names": many(33, text("team-a/%d"))}), want: "must have at most 32 items"},
		"a name given twice is refused":                    {spec: rule(m{"names": l{"a", "a"}}), want: `spec.rules[0].names[1]: Duplicate value: "a"`},
		"an empty name is refused":                         {spec: rule(m{"names": l{""}}), want: "spec.rules[0].names[0] in body should be at least 1 chars long"},
		"a name of 256 characters is accepted":             {spec: rule(m{"names": l{long}})},
		"a name of 257 characters is refused":              {spec: rule(m{"names": l{long + "x"}}), want: "spec.rules[0].names[0]: Too long"},
		"a name of 256 characters of 4 bytes is accepted":  {spec: rule(m{"names": l{strings.Repeat("😀", 256)}})},
		"a name with a line break is refused":              {spec: rule(m{"names": l{"team-a/x\n**"}}), want: "spec.rules[0].names[0] in body should match"},
		"a name with a NUL is refused":                     {spec: rule(m{"names": l{"team-a/x\x00"}}), want: "spec.rules[0].names[0] in body should match"},
		"a name with a DEL is refused":                     {spec: rule(m{"names": l{"team-a/x\x7f"}}), want: "spec.rules[0].names[0] in body should match"},
		"a rule without actions is refused":                {spec: rule(m{"actions": nil}), want: "spec.rules[0].actions: Required value"},
		"a rule with an empty list of actions is refused":  {spec: rule(m{"actions": l{}}), want: "spec.rules[0].actions in body should have at least 1 items"},
		"16 actions are accepted":                          {spec: rule(m{"actions": many(16, text("a%d"))})},
		"17 actions are refused":                           {spec: rule(m{"actions": many(17, text("a%d"))}), want: "must have at most 16 items"},
		"an action given twice is refused":                 {spec: rule(m{"actions": l{"pull", "pull"}}), want: `spec.rules[0].actions[1]: Duplicate value: "pull"`},
		"the action * is accepted":                         {spec: rule(m{"actions": l{"*"}})},
		"an action with a star and more is refused":        {spec: rule(m{"actions": l{"pu*"}}), want: "spec.rules[0].actions[0] in body should match"},
		"an action with a comma is refused":                {spec: rule(m{"actions": l{"pull,push"}}), want: "spec.rules[0].actions[0] in body should match"},
		"an empty action is refused":                       {spec: rule(m{"actions": l{""}}), want: "spec.rules[0].actions[0] in body should be at least 1 chars long"},
		"an action of 64 characters is accepted":           {spec: rule(m{"actions": l{long[:64]}})},
		"an action of 65 characters is refused":            {spec: rule(m{"actions": l{long[:65]}}), want: "spec.rules[0].actions[0]: Too long"},
		"an action of NATS that it has not is refused":     {spec: rule(m{"type": "nats", "actions": l{"pull"}}), want: "actions of type nats must be publish, subscribe or *"},
		"an action of OAuth that it has not is refused":    {spec: rule(m{"type": "oauth", "actions": l{"pull"}}), want: "actions of type oauth must be introspect, exchange"},
	}
}

func whenCases() map[string]ruleCase {
	when := func(changes m) m { return m{"when": changes} }
	cases := map[string]ruleCase{
		"an empty when is refused":                       {spec: when(m{}), want: "spec.when in body should have at least 1 properties"},
		"a range of IPv4 addresses is accepted":          {spec: when(m{"sourceRanges": l{"10.0.0.0/8"}})},
		"a range of IPv6 addresses is accepted":          {spec: when(m{"sourceRanges": l{"fd00::/8", "::/0"}})},
		"the longest range of addresses is accepted":     {spec: when(m{"sourceRanges": l{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"}})},
		"an address that is not a range is refused":      {spec: when(m{"sourceRanges": l{"10.0.0.1"}}), want: "must be a range of addresses such as"},
		"a range with 33 bits is refused":                {spec: when(m{"sourceRanges": l{"10.0.0.0/33"}}), want: "must be a range of addresses such as"},
		"a range of 3 characters is refused":             {spec: when(m{"sourceRanges": l{"::/"}}), want: "spec.when.sourceRanges[0] in body should be at least 4 chars long"},
		"a range of 44 characters is refused":            {spec: when(m{"sourceRanges": l{strings.Repeat("f", 44)}}), want: "spec.when.sourceRanges[0]: Too long"},
		"a range given twice is refused":                 {spec: when(m{"sourceRanges": l{"::/0", "::/0"}}), want: `spec.when.sourceRanges[1]: Duplicate value: "::/0"`},
		"an empty list of ranges is refused":             {spec: when(m{"sourceRanges": l{}}), want: "spec.when.sourceRanges in body should have at least 1 items"},
		"32 ranges are accepted":                         {spec: when(m{"sourceRanges": many(32, text("10.%d.0.0/16"))})},
		"33 ranges are refused":                          {spec: when(m{"sourceRanges": many(33, text("10.%d.0.0/16"))}), want: "must have at most 32 items"},
		"an expression of 1024 characters is accepted":   {spec: when(m{"expression": strings.Repeat("x", 1024)})},
		"an expression of 1025 characters is refused":    {spec: when(m{"expression": strings.Repeat("x", 1025)}), want: "spec.when.expression: Too long"},
		"an empty expression is refused":                 {spec: when(m{"expression": ""}), want: "spec.when.expression in body should be at least 1 chars long"},
		"a time before the other is accepted":            {spec: when(m{"notBefore": "2026-01-01T00:00:00Z", "notAfter": "2026-01-01T00:00:00-01:00"})},
		"a time after the other is refused":              {spec: when(m{"notBefore": "2027-01-01T00:00:00Z", "notAfter": "2026-01-01T00:00:00Z"}), want: "notAfter must be later than notBefore"},
		"one time for both is refused":                   {spec: when(m{"notBefore": "2026-01-01T00:00:00Z", "notAfter": "2026-01-01T00:00:00Z"}), want: "notAfter must be later than notBefore"},
		"a month that no calendar has, beside another":   {spec: when(m{"notBefore": "2026-13-01T00:00:00Z", "notAfter": "2027-01-01T00:00:00Z"}), want: "spec.when"},
		"an expression that is not CEL is the manager's": {spec: when(m{"expression": "((("})},
	}
	maps.Copy(cases, timeCases("spec.when.notBefore", func(v string) m { return when(m{"notBefore": v}) }))
	maps.Copy(cases, timeCases("spec.when.notAfter", func(v string) m { return when(m{"notAfter": v}) }))
	return cases
}

// accessPolicyCases are the rules of AccessPolicy alone.
func accessPolicyCases() map[string]ruleCase {
	return map[string]ruleCase{
		"an AccessPolicy without rules is refused":           {spec: m{"rules": nil}, want: "spec.rules: Required value: rules must not be empty"},
		"an AccessPolicy with an empty list is refused":      {spec: m{"rules": l{}}, want: "spec.rules: Required value: rules must not be empty"},
		"an AccessPolicy for the registry itself is refused": {spec: rule(m{"type": "registry"}), want: "must not be of type registry, nats or oauth"},
		"an AccessPolicy for NATS is refused":                {spec: rule(m{"type": "nats", "actions": l{"publish"}}), want: "must not be of type registry, nats or oauth"},
		"an AccessPolicy for OAuth is refused":               {spec: rule(m{"type": "oauth", "actions": l{"list"}}), want: "must not be of type registry, nats or oauth"},
	}
}
