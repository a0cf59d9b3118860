package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// change is how a test's policy or request differs from a sound one.
type change func(*object)

func allow(changes ...change) object { return made("", changes...) }

func deny(changes ...change) object { return made("", append([]change{denies}, changes...)...) }

func ofTenant(changes ...change) object { return made("team-a", changes...) }

func made(namespace string, changes ...change) object {
	o := sound(namespace)
	for i, c := range changes {
		c(&o)
		o.name = fmt.Sprintf("%s-%d", o.name, i)
	}
	return o
}

func denies(o *object) { o.spec.Effect = v1alpha1.EffectDeny }

func on(typ, name string, actions ...v1alpha1.Action) change {
	return func(o *object) { o.spec.Rules = rules(typ, name, actions...) }
}

func to(kind v1alpha1.SubjectKind, name string) change {
	return func(o *object) { o.spec.Subjects = []v1alpha1.Subject{{Kind: kind, Name: name}} }
}

func audience(a v1alpha1.Audience) change {
	return func(o *object) { o.spec.Audiences = []v1alpha1.Audience{a} }
}

func provided(w v1alpha1.When) change { return func(o *object) { o.spec.When = &w } }

func from(ranges ...v1alpha1.CIDR) change { return provided(v1alpha1.When{SourceRanges: ranges}) }

func cel(expression string) change { return provided(v1alpha1.When{Expression: expression}) }

func until(t v1alpha1.DateTime) change { return provided(v1alpha1.When{NotAfter: t}) }

// request is a ServiceAccount of team-a that asks to pull and push team-a/app.
func request(changes ...func(*Request)) Request {
	req := Request{
		Caller: caller.Caller{
			Username: "system:serviceaccount:team-a:ci", Groups: caller.ServiceAccountGroups("team-a"), Method: caller.MethodServiceAccount,
		},
		Audience: "registry.example.com",
		Resource: Resource{Type: "repository", Name: "team-a/app"},
		Actions:  []string{"pull", "push"},
		SourceIP: netip.MustParseAddr("10.1.2.3"),
		Time:     time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC),
		Admits:   everyNamespace,
	}
	for _, c := range changes {
		c(&req)
	}
	return req
}

func ask(typ, name string, actions ...string) func(*Request) {
	return func(r *Request) { r.Resource.Type, r.Resource.Name, r.Actions = typ, name, actions }
}

func as(c caller.Caller) func(*Request) { return func(r *Request) { r.Caller = c } }

func at(address string) func(*Request) {
	return func(r *Request) {
		r.SourceIP = netip.Addr{}
		if address != "" {
			r.SourceIP = netip.MustParseAddr(address)
		}
	}
}

func in(namespace string) func(*Request) {
	return func(r *Request) { r.Resource.Namespace = namespace }
}

func noAdmission(r *Request) { r.Admits = nil }

func noTime(r *Request) { r.Time = time.Time{} }

func alice(groups ...string) caller.Caller {
	return caller.Caller{Username: "alice", Groups: append(groups, "system:authenticated"), Method: caller.MethodPassword}
}

func dotted() caller.Caller {
	return caller.Caller{Username: "a.lice", Groups: []string{"system:authenticated"}}
}

func TestDecide(t *testing.T) {
	long := strings.Repeat("a/", 10_000) + "a"
	cases := map[string]struct {
		policies []object
		request  Request
		want     []string
	}{
		"nothing matches":                                       {nil, request(), nil},
		"an allow":                                              {[]object{allow()}, request(), []string{"pull", "push"}},
		"part of what is asked":                                 {[]object{allow(on("repository", "team-a/app", "pull"))}, request(), []string{"pull"}},
		"two allows add up":                                     {[]object{allow(on("repository", "team-a/app", "pull")), allow(on("repository", "*/app", "push"))}, request(), []string{"pull", "push"}},
		"a gap in what is asked":                                {[]object{allow(on("repository", "**", "delete", "push"))}, request(ask("repository", "team-a/app", "push", "pull", "delete")), []string{"delete", "push"}},
		"a deny takes away":                                     {[]object{allow(), deny(on("repository", "team-a/**", "push"))}, request(), []string{"pull"}},
		"a deny of all actions":                                 {[]object{allow(), deny(on("repository", "team-a/**", "*"))}, request(), nil},
		"a deny of another name":                                {[]object{allow(), deny(on("repository", "team-a/other", "*"))}, request(), []string{"pull", "push"}},
		"a tenant allows":                                       {[]object{ofTenant()}, request(), []string{"pull", "push"}},
		"a tenant whose namespace is not admitted":              {[]object{ofTenant()}, request(noAdmission), nil},
		"a tenant's deny of a tenant's allow":                   {[]object{ofTenant(), ofTenant(denies, on("repository", "team-a/**", "push"))}, request(), []string{"pull"}},
		"a tenant cannot lock out the platform":                 {[]object{allow(), ofTenant(denies)}, request(), []string{"pull", "push"}},
		"the platform's deny is final":                          {[]object{ofTenant(), deny(on("repository", "**", "push"))}, request(), []string{"pull"}},
		"a tenant's deny beside the platform's allow of a part": {[]object{allow(on("repository", "**", "pull")), ofTenant(), ofTenant(denies)}, request(), []string{"pull"}},
		"a tenant's pattern does not match the bare name":       {[]object{ofTenant()}, request(ask("repository", "team-a", "pull")), nil},
		"the platform's pattern does":                           {[]object{allow()}, request(ask("repository", "team-a", "pull")), []string{"pull"}},
		"another audience":                                      {[]object{allow(audience("other"))}, request(), nil},
		"this audience":                                         {[]object{allow(audience("registry.example.com"))}, request(), []string{"pull", "push"}},
		"a deny of another audience":                            {[]object{allow(), deny(audience("other"))}, request(), []string{"pull", "push"}},
		"a user":                                                {[]object{allow(to("User", "alice"))}, request(as(alice())), []string{"pull", "push"}},
		"a user by another's name":                              {[]object{allow(to("User", "alice"))}, request(as(caller.Caller{Username: "Alice"})), nil},
		"a user is not a group":                                 {[]object{allow(to("User", "devs"))}, request(as(alice("devs"))), nil},
		"a group is not a user":                                 {[]object{allow(to("Group", "alice"))}, request(as(alice())), nil},
		"a group":                                               {[]object{allow(to("Group", "devs"))}, request(as(alice("devs"))), []string{"pull", "push"}},
		"a ServiceAccount as a user":                            {[]object{allow(to("User", "system:serviceaccount:team-a:ci"))}, request(), []string{"pull", "push"}},
		"a ServiceAccount of another namespace": {[]object{allow(func(o *object) {
			o.spec.Subjects = []v1alpha1.Subject{{Kind: "ServiceAccount", Namespace: "b", Name: "ci"}}
		})}, request(), nil},
		"ServiceAccounts of a namespace":                   {[]object{allow(to("Group", "system:serviceaccounts:team-a"))}, request(), []string{"pull", "push"}},
		"an anonymous caller is not authenticated":         {[]object{allow()}, request(as(caller.Anonymous())), nil},
		"an anonymous caller":                              {[]object{allow(to("Group", "system:unauthenticated"))}, request(as(caller.Anonymous())), []string{"pull", "push"}},
		"a caller without a name or groups":                {[]object{allow()}, request(as(caller.Caller{})), nil},
		"a deny for a group that the caller is not in":     {[]object{allow(), deny(to("Group", "devs"))}, request(), []string{"pull", "push"}},
		"all of a repository is spelt out":                 {[]object{allow(on("repository", "**", "*"))}, request(ask("repository", "a", "*")), []string{"delete", "pull", "push"}},
		"all of a repository, of which a part is granted":  {[]object{allow()}, request(ask("repository", "team-a/app", "*")), []string{"pull", "push"}},
		"all of a repository but":                          {[]object{allow(on("repository", "**", "*")), deny(on("repository", "**", "delete"))}, request(ask("repository", "a", "*")), []string{"pull", "push"}},
		"all beside concrete actions":                      {[]object{allow(on("repository", "**", "*"))}, request(ask("repository", "a", "push", "*", "scan", "push")), []string{"delete", "pull", "push", "scan"}},
		"the catalog is asked for literally":               {[]object{allow(on("registry", "catalog", "*"))}, request(ask("registry", "catalog", "*")), []string{"*"}},
		"the catalog is not given for less":                {[]object{allow(on("registry", "catalog", "pull"))}, request(ask("registry", "catalog", "*")), nil},
		"the catalog less something is nothing":            {[]object{allow(on("registry", "catalog", "*")), deny(on("registry", "catalog", "delete"))}, request(ask("registry", "catalog", "*")), nil},
		"a literal star of anything else":                  {[]object{allow(on("registry", "**", "*")), allow(on("album", "**", "*"))}, request(ask("album", "x", "*", "read")), []string{"read"}},
		"a literal star of the registry but the catalog":   {[]object{allow(on("registry", "**", "*"))}, request(ask("registry", "other", "*")), nil},
		"empty actions":                                    {[]object{allow(on("repository", "**", "*"))}, request(ask("repository", "a", "", "pull")), []string{"pull"}},
		"no actions":                                       {[]object{allow(on("repository", "**", "*"))}, request(ask("repository", "a")), nil},
		"a type is compared whole":                         {[]object{allow(on("repository", "**", "*"))}, request(ask("repo", "a", "pull")), nil},
		"no type":                                          {[]object{allow(on("repository", "**", "*"))}, request(ask("", "a", "pull")), nil},
		"a resource of the namespace":                      {[]object{ofTenant(on("album", "**", "read"))}, request(ask("album", "x/y", "read"), in("team-a")), []string{"read"}},
		"a resource of another namespace":                  {[]object{ofTenant(on("album", "**", "read"))}, request(ask("album", "team-a/y", "read"), in("team-b")), nil},
		"a resource of no namespace":                       {[]object{ofTenant(on("album", "**", "read"))}, request(ask("album", "team-a/y", "read")), nil},
		"the namespace of a repository is its name's":      {[]object{ofTenant()}, request(ask("repository", "team-b/app", "pull"), in("team-a")), nil},
		"the platform and a resource of any namespace":     {[]object{allow(on("album", "x/*", "read"))}, request(ask("album", "x/y", "read"), in("team-b")), []string{"read"}},
		"an audience as a resource":                        {[]object{allow(on("oauth", "https://*.example.com/*", "introspect"))}, request(ask("oauth", "https://a.example.com/b//c", "introspect", "revoke")), []string{"introspect"}},
		"a subject of NATS":                                {[]object{allow(on("nats", "a.>", "publish"))}, request(ask("nats", "a.b.c", "publish", "subscribe")), []string{"publish"}},
		"a subject of NATS that is wider than the pattern": {[]object{allow(on("nats", "a.*", "publish"))}, request(ask("nats", "a.>", "publish")), nil},
		"a subject of NATS with the caller's value":        {[]object{allow(on("nats", ">", "publish")), deny(on("nats", "a.${subject.username}", "publish"))}, request(as(alice()), ask("nats", "b.c", "publish")), []string{"publish"}},
		"the same where the value is no token":             {[]object{allow(on("nats", ">", "publish")), deny(on("nats", "a.${subject.username}", "publish"))}, request(as(dotted()), ask("nats", "b.c", "publish")), nil},
		"the same behind a star":                           {[]object{allow(on("nats", ">", "publish")), deny(on("nats", "*.x.${subject.extra.none}.>", "publish"))}, request(ask("nats", "b", "publish")), nil},
		"the caller's own place":                           {[]object{allow(on("repository", "${subject.namespace}/${subject.serviceAccount}/**", "pull"))}, request(ask("repository", "team-a/ci/x", "pull")), []string{"pull"}},
		"up and over":                                      {[]object{allow(on("repository", "**", "*"))}, request(ask("repository", "team-a/../x", "pull")), nil},
		"a name with an empty segment":                     {[]object{allow(on("repository", "**", "*"))}, request(ask("repository", "team-a//x", "pull")), nil},
		"a name of 10,000 segments":                        {[]object{allow(on("repository", "**", "*"))}, request(ask("repository", long, "pull")), nil},
		"a known address":                                  {[]object{allow(from("10.0.0.0/8"))}, request(), []string{"pull", "push"}},
		"another address":                                  {[]object{allow(from("10.0.0.0/8"))}, request(at("192.0.2.1")), nil},
		"a mapped address":                                 {[]object{allow(from("10.0.0.0/8"))}, request(at("::ffff:10.1.2.3")), []string{"pull", "push"}},
		"a mapped address is not one of IPv6":              {[]object{allow(from("::/0"))}, request(at("::ffff:10.1.2.3")), nil},
		"an address with a zone":                           {[]object{allow(), deny(from("fe80::/10"))}, request(at("fe80::1%eth0")), nil},
		"an unknown address lies in no range":              {[]object{allow(from("0.0.0.0/0", "::/0"))}, request(at("")), nil},
		"an unknown address is denied":                     {[]object{allow(), deny(from("10.0.0.0/8"))}, request(at("")), nil},
		"a known address is not denied":                    {[]object{allow(), deny(from("10.0.0.0/8"))}, request(at("192.0.2.1")), []string{"pull", "push"}},
		"before the start":                                 {[]object{allow(provided(v1alpha1.When{NotBefore: "2026-05-04T00:00:01Z"}))}, request(), nil},
		"at the start":                                     {[]object{allow(provided(v1alpha1.When{NotBefore: "2026-05-04T00:00:00Z"}))}, request(), []string{"pull", "push"}},
		"before the end":                                   {[]object{allow(until("2026-05-04T00:00:01Z"))}, request(), []string{"pull", "push"}},
		"at the end":                                       {[]object{allow(until("2026-05-04T00:00:00Z"))}, request(), nil},
		"a deny after its end":                             {[]object{allow(), deny(until("2026-05-04T00:00:00Z"))}, request(), []string{"pull", "push"}},
		"a time in another zone":                           {[]object{allow(until("2026-05-04T01:00:00+02:00"))}, request(), nil},
		"an unknown time is not before the end":            {[]object{allow(until("2027-01-01T00:00:00Z"))}, request(noTime), nil},
		"an unknown time is denied":                        {[]object{allow(), deny(until("2026-01-01T00:00:00Z"))}, request(noTime), nil},
		"an expression":                                    {[]object{allow(cel("action == 'pull' && subject.namespace == 'team-a'"))}, request(), []string{"pull"}},
		"an expression that fails allows nothing":          {[]object{allow(cel("subject.extra['ref'].exists(r, r == 'x')"))}, request(), nil},
		"an expression that fails denies":                  {[]object{allow(), deny(cel("subject.extra['ref'].exists(r, r == 'x')"))}, request(), nil},
		"an expression that denies a part":                 {[]object{allow(), deny(cel("action == 'push'"))}, request(), []string{"pull"}},
		"all of what is given must hold":                   {[]object{allow(provided(v1alpha1.When{SourceRanges: []v1alpha1.CIDR{"192.0.2.0/24"}, Expression: "true"}))}, request(), nil},
		"a tenant's expression":                            {[]object{ofTenant(cel("action == 'pull'"))}, request(), []string{"pull"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := index(c.policies).Decide(c.request)
			if diff := cmp.Diff(c.want, got.Granted); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestBroken holds what is in force of a policy that does not compile. Beside it stand an allow of everything by the
// platform and one of a tenant.
func TestBroken(t *testing.T) {
	everything := []object{
		allow(on("repository", "other/**", "*")), allow(on("album", "**", "*")), allow(on("oauth", "*", "*")), ofTenant(on("repository", "team-a/**", "*")),
		ofTenant(on("album", "**", "*")), made("team-b", on("repository", "team-b/**", "*")),
	}
	someone := to("User", "someone-else")
	cases := map[string]struct {
		broken object
		denied []string
	}{
		"an allow with a broken name grants nothing":            {allow(func(o *object) { o.spec.Rules[0].Names = append(o.spec.Rules[0].Names, "**", "a//b") }), nil},
		"a tenant's allow outside grants nothing":               {ofTenant(func(o *object) { o.spec.Rules[0].Names = append(o.spec.Rules[0].Names, "team-b/**") }), nil},
		"a deny with a broken name denies its type":             {deny(on("repository", "a//b", "*")), []string{"other/x", "team-a/x", "team-b/x"}},
		"a deny with a broken name and one action":              {deny(on("repository", "a//b", "push")), nil},
		"a deny with a broken name keeps to its subjects":       {deny(someone, on("repository", "a//b", "*")), nil},
		"a deny with a broken name of another type":             {deny(on("album", "a//b", "*")), []string{"album", "team-a album"}},
		"a deny with a broken audience name":                    {deny(on("oauth", "**", "*")), []string{"oauth"}},
		"a tenant's deny with a broken name":                    {ofTenant(denies, on("repository", "team-a//b", "*")), []string{"team-a/x"}},
		"a tenant's deny outside its namespace":                 {ofTenant(denies, on("repository", "team-b/**", "*")), []string{"team-a/x"}},
		"a tenant's deny of everything":                         {ofTenant(denies, on("repository", "**", "*")), []string{"team-a/x"}},
		"a tenant's deny of a type that is not its":             {ofTenant(denies, on("oauth", "*", "*")), nil},
		"a tenant's deny without rules":                         {ofTenant(denies, func(o *object) { o.spec.Rules = nil }), []string{"team-a/x", "team-a album"}},
		"a tenant's deny of a broken resource":                  {ofTenant(denies, on("album", "a//b", "*")), []string{"team-a album"}},
		"a deny without rules denies all":                       {deny(func(o *object) { o.spec.Rules = nil }), []string{"other/x", "team-a/x", "team-b/x", "album", "team-a album", "oauth"}},
		"a deny without a type denies all":                      {deny(on("", "x", "*")), []string{"other/x", "team-a/x", "team-b/x", "album", "team-a album", "oauth"}},
		"a deny without names":                                  {deny(func(o *object) { o.spec.Rules[0].Names, o.spec.Rules[0].Actions = nil, []v1alpha1.Action{"*"} }), []string{"other/x", "team-a/x", "team-b/x"}},
		"a deny without actions":                                {deny(on("repository", "other/**")), []string{"other/x"}},
		"a deny with a broken action":                           {deny(on("repository", "other/**", "pu sh")), []string{"other/x"}},
		"a deny with a broken range":                            {deny(on("repository", "other/**", "*"), from("10.0.0.0/99", "192.0.2.0/24")), []string{"other/x"}},
		"a deny with a broken end":                              {deny(on("repository", "other/**", "*"), until("soon")), []string{"other/x"}},
		"a deny with an end before its start":                   {deny(on("repository", "other/**", "*"), provided(v1alpha1.When{NotBefore: "2028-01-01T00:00:00Z", NotAfter: "2027-01-01T00:00:00Z"})), []string{"other/x"}},
		"a deny with a broken expression":                       {deny(on("repository", "other/**", "*"), cel("subject.nope")), []string{"other/x"}},
		"a deny with a broken expression and a range elsewhere": {deny(on("repository", "other/**", "*"), provided(v1alpha1.When{Expression: "nope", SourceRanges: []v1alpha1.CIDR{"192.0.2.0/24"}})), nil},
		"a deny with a broken subject denies everyone":          {deny(on("repository", "other/**", "*"), to("Group", "system:authenticatd")), []string{"other/x"}},
		"a deny without subjects denies everyone":               {deny(on("repository", "other/**", "*"), func(o *object) { o.spec.Subjects = nil }), []string{"other/x"}},
		"a tenant's deny with a broken subject":                 {ofTenant(denies, on("repository", "team-a/**", "*"), to("ServiceAccount", "ci")), []string{"team-a/x"}},
		"an unknown effect is a deny":                           {made("", on("repository", "other/**", "*"), func(o *object) { o.spec.Effect = "allow" }), []string{"other/x"}},
		"an allow with a broken subject grants nothing":         {allow(on("repository", "**", "*"), func(o *object) { o.spec.Subjects = append(o.spec.Subjects, v1alpha1.Subject{}) }), nil},
	}
	resources := map[string]Resource{
		"other/x": {Type: "repository", Name: "other/x"}, "team-a/x": {Type: "repository", Name: "team-a/x"},
		"team-b/x": {Type: "repository", Name: "team-b/x"}, "album": {Type: "album", Name: "x"},
		"team-a album": {Type: "album", Namespace: "team-a", Name: "x"}, "oauth": {Type: "oauth", Name: "https://x"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, problems := c.broken.compile(); len(problems) == 0 {
				t.Error("it compiled")
			}
			x := index(append(everything[:len(everything):len(everything)], c.broken))
			var got []string
			for what, resource := range resources {
				req := request(func(r *Request) { r.Resource, r.Actions = resource, []string{"pull"} })
				if resource.Type == "oauth" {
					req.Actions = []string{"revoke"}
				}
				// The platform's allow of albums would hide what tenants say of them.
				y := x
				if what == "team-a album" {
					y = index(append([]object{everything[4]}, c.broken))
				}
				if len(y.Decide(req).Granted) == 0 {
					got = append(got, what)
				}
			}
			if diff := cmp.Diff(c.denied, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNotAfter(t *testing.T) {
	early, late := v1alpha1.DateTime("2026-06-01T00:00:00Z"), v1alpha1.DateTime("2026-07-01T00:00:00Z")
	e, _ := early.Parse()
	l, _ := late.Parse()
	pull, push := on("repository", "team-a/**", "pull"), on("repository", "team-a/**", "push")
	cases := map[string]struct {
		policies []object
		want     time.Time
	}{
		"no end":                           {[]object{allow()}, time.Time{}},
		"one end":                          {[]object{allow(until(early))}, e},
		"the later of two for one action":  {[]object{allow(until(early)), allow(until(late))}, l},
		"none of two for one action":       {[]object{allow(until(early)), allow()}, time.Time{}},
		"the earlier of two actions":       {[]object{allow(pull, until(early)), allow(push, until(late))}, e},
		"one action with an end":           {[]object{allow(pull), allow(push, until(late))}, l},
		"an action that is denied":         {[]object{allow(pull, until(early)), allow(push, until(late)), deny(pull)}, l},
		"a tenant's end":                   {[]object{ofTenant(until(early))}, e},
		"the platform's and a tenant's":    {[]object{allow(until(early)), ofTenant(until(late))}, l},
		"a tenant's that is taken away":    {[]object{allow(until(early)), ofTenant(), ofTenant(denies)}, e},
		"the platform's that is taken":     {[]object{allow(), ofTenant(until(late)), deny()}, time.Time{}},
		"a deny's end bounds nothing":      {[]object{allow(), deny(on("repository", "x", "pull"), until(early))}, time.Time{}},
		"an allow that has ended":          {[]object{allow(until("2026-01-01T00:00:00Z")), allow(until(late))}, l},
		"an end behind an expression":      {[]object{allow(provided(v1alpha1.When{NotAfter: early, Expression: "action == 'pull'"})), allow(push)}, e},
		"an end behind one that is false":  {[]object{allow(provided(v1alpha1.When{NotAfter: early, Expression: "action == 'x'"})), allow(push)}, time.Time{}},
		"nothing granted has no end of it": {[]object{allow(on("repository", "x", "pull"), until(early))}, time.Time{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := index(c.policies).Decide(request()).NotAfter; !got.Equal(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	policies := []object{
		allow(), ofTenant(), deny(on("repository", "**", "push")),
		{name: "two-rules", spec: v1alpha1.PolicySpec{
			Subjects: []v1alpha1.Subject{{Kind: "Group", Name: "system:authenticated"}, {Kind: "User", Name: "system:serviceaccount:team-a:ci"}},
			Rules:    append(rules("repository", "x", "pull"), rules("repository", "team-a/*", "pull")...),
		}},
	}
	got := index(policies).Explain(request())
	platform := func(name string) Ref { return Ref{Kind: "ClusterAccessPolicy", Name: name} }
	team := Ref{Kind: "AccessPolicy", Namespace: "team-a", Name: "p"}
	want := Decision{Granted: []string{"pull"}, Why: []Reason{
		{team, 0, "Allow", "pull"}, {platform("p"), 0, "Allow", "pull"}, {platform("two-rules"), 1, "Allow", "pull"},
		{team, 0, "Allow", "push"}, {platform("p"), 0, "Allow", "push"}, {platform("p-0-1"), 0, "Deny", "push"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	want.Why, want.Omitted = append(want.Why[:2:2], want.Why[3:5]...), 2
	if diff := cmp.Diff(want, index(policies).ExplainBriefly(request(), 2)); diff != "" {
		t.Errorf("two reasons for each action (-want +got):\n%s", diff)
	}
}
