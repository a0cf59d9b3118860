package policy

import (
	"math/rand"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// drawer draws from few words, so that policies meet each other and the requests. Of the words behind a "!" one is
// drawn rarely: most of those make a policy that does not compile.
type drawer struct {
	*rapid.T
	label string
	odd   bool
}

func (d drawer) word(what string, words ...string) string {
	common := slices.Index(words, "!")
	if common < 0 {
		return rapid.SampledFrom(words).Draw(d.T, d.label+what)
	}
	if !d.odd {
		return rapid.SampledFrom(words[:common]).Draw(d.T, d.label+what)
	}
	return rapid.SampledFrom(slices.Delete(slices.Clone(words), common, common+1)).Draw(d.T, d.label+what)
}

func (d drawer) number(what string, low, high int) int {
	return rapid.IntRange(low, high).Draw(d.T, d.label+what)
}

func drawObject(t *rapid.T, label string) object {
	d := drawer{t, label, rapid.IntRange(0, 4).Draw(t, label+"odd") == 4}
	o := object{namespace: d.word("namespace", "", "a", "a", "b"), name: label}
	if o.namespace != "" && d.number("gives", 0, 3) == 3 {
		return drawApproval(d, o)
	}
	if d.number("effect", 0, 3) == 3 {
		o.spec.Effect = v1alpha1.EffectDeny
	}
	for range d.number("subjects", 1, 2) {
		o.spec.Subjects = append(o.spec.Subjects, drawSubject(d))
	}
	if a := d.word("audience", "", "", "", "r1", "r2"); a != "" {
		o.spec.Audiences = []v1alpha1.Audience{v1alpha1.Audience(a)}
	}
	for range d.number("rules", 1, 2) {
		types := []string{"repository", "repository", "repository", "album", "!", "registry", "oauth", "nats"}
		if o.namespace == "" {
			types = []string{"repository", "repository", "repository", "repository", "album", "registry", "oauth", "nats"}
		}
		r := v1alpha1.Rule{Type: d.word("type", types...)}
		for range d.number("names", 1, 2) {
			r.Names = append(r.Names, v1alpha1.ResourceName(drawName(d, r.Type, o.namespace)))
		}
		for range d.number("actions", 1, 2) {
			words := []string{"pull", "pull", "push", "*", "!", "bad action"}
			switch r.Type {
			case "oauth":
				words = []string{"list", "*", "!", "pull"}
			case "nats":
				words = []string{"publish", "*", "!", "pull"}
			}
			r.Actions = append(r.Actions, v1alpha1.Action(d.word("action", words...)))
		}
		o.spec.Rules = append(o.spec.Rules, r)
	}
	o.spec.When = drawWhen(d)
	return o
}

// drawApproval draws an owner, or a request that was approved.
func drawApproval(d drawer, o object) object {
	o.gives = d.word("kind", KindProtectedResource, KindPermissionRequest)
	o.spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: d.word("user", "alice", "bob", "a/x", "system:serviceaccount:a:ci", "!",
		"", "system:anonymous", "system:authenticated", "system:serviceaccount:a:")}}
	o.spec.Audiences = []v1alpha1.Audience{v1alpha1.Audience(d.word("at", "r1", "r1", "r2", "!", ""))}
	o.spec.Rules = []v1alpha1.Rule{{
		Type:    d.word("of", "album", "album", "!", "repository", "registry", "oauth", "nats", ""),
		Names:   []v1alpha1.ResourceName{v1alpha1.ResourceName(d.word("resource", "x", "a", "a", "b", "a/x", "!", "*", "**", "x*", "${subject.username}", "a//x", ""))},
		Actions: []v1alpha1.Action{v1alpha1.Action(d.word("first", "pull", "push", "!", "*", "")), v1alpha1.Action(d.word("second", "pull", "foo", "!", "*"))},
	}}
	return o
}

func drawSubject(d drawer) v1alpha1.Subject {
	switch s := d.word("subject", "authenticated", "authenticated", "devs", "alice", "ci", "ci as user", "!", "anonymous",
		"unauthenticated", "masters", "nobody"); s {
	case "authenticated", "unauthenticated", "masters":
		return v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: "system:" + s}
	case "devs":
		return v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: s}
	case "ci":
		return v1alpha1.Subject{Kind: v1alpha1.SubjectServiceAccount, Namespace: "a", Name: "ci"}
	case "ci as user":
		return v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: "system:serviceaccount:a:ci"}
	case "anonymous":
		return v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: "system:anonymous"}
	case "nobody":
		return v1alpha1.Subject{Kind: v1alpha1.SubjectServiceAccount, Name: "ci"}
	default:
		return v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: s}
	}
}

func drawName(d drawer, typ, namespace string) string {
	switch {
	case typ == "nats":
		return d.word("name", "a.*", "a.>", ">", "a.x", "${subject.username}.>", "a.${subject.username}",
			"*.${subject.extra.k}.x", "*.x", "!", "a*")
	case typ == "oauth":
		return d.word("name", "r1", "*", "r*", "${subject.extra.k}", "!", "**")
	case typ == "registry":
		return d.word("name", "catalog", "*", "**")
	case typ == "repository" && namespace != "":
		return d.word("name", namespace+"/"+d.word("below", "**", "**", "x", "*", "x/**", "**/x", "*/y", "x*", "${subject.username}",
			"${subject.extra.k}/**", "${subject.extra.none}"), "!", "**", "b/x", "a", "*/x")
	}
	return d.word("name", "a/x", "a/**", "b/**", "a/*", "*/x", "**", "**/x", "a/**/x", "a/*/y", "a", "*", "a/x*", "a/*x", "*/*", "a/x/**",
		"**/y/**", "${subject.namespace}/**", "a/${subject.username}", "a/${subject.extra.k}/x", "**/${subject.extra.k}", "b/x", "b",
		"a/${subject.extra.none}", "a/**/**", "!", "a//x", "${nope}", "a/../b")
}

func drawWhen(d drawer) *v1alpha1.When {
	if d.number("when", 0, 2) < 2 {
		return nil
	}
	w := &v1alpha1.When{}
	if s := d.word("range", "", "", "10.0.0.0/8", "0.0.0.0/0", "fd00::/8", "!", "300.0.0.0/8", "::ffff:10.0.0.0/104"); s != "" {
		w.SourceRanges = []v1alpha1.CIDR{v1alpha1.CIDR(s)}
	}
	w.NotBefore = v1alpha1.DateTime(d.word("notBefore", "", "", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "!", "2026-13-01T00:00:00Z"))
	w.NotAfter = v1alpha1.DateTime(d.word("notAfter", "", "2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z", "!", "soon"))
	w.Expression = d.word("expression", "", "", "action == 'pull'", "subject.extra['k'].exists(v, v == 'a')",
		"resource.name.startsWith(subject.namespace)", "request.claims.level > 2", "request.ip == '10.0.0.1' || action == 'push'",
		"!", "subject.nope == 'a'", "'a'")
	return w
}

func drawRequest(t *rapid.T) Request {
	draw := func(what string, words ...string) string { return rapid.SampledFrom(words).Draw(t, what) }
	req := Request{
		Caller: rapid.SampledFrom([]caller.Caller{
			caller.Anonymous(),
			{Username: "alice", Groups: []string{"system:authenticated"}, Method: caller.MethodPassword},
			{Username: "alice", Groups: []string{"devs", "system:authenticated", "devs"}, Extra: map[string][]string{"k": {"a", "x"}}},
			{Username: "bob", Groups: []string{"system:authenticated"}, Extra: map[string][]string{"k": {"", "x/y"}}},
			{Username: "a/x", Groups: []string{"system:authenticated"}, Extra: map[string][]string{"k": {"*"}}},
			{Username: "system:serviceaccount:a:ci", Groups: caller.ServiceAccountGroups("a")},
			{Username: "system:serviceaccount:a:ci", Groups: []string{"system:authenticated", "devs"}, Extra: map[string][]string{"k": {"a"}}},
			{},
		}).Draw(t, "caller"),
		Audience: draw("audience", "r1", "r2"),
		Resource: Resource{
			Type:      draw("type", "repository", "repository", "repository", "repository", "repository", "album", "registry", "oauth", "nats"),
			Namespace: draw("namespace", "", "a", "b"),
			Name: draw("name", "a", "a/x", "a/x", "a/x", "a/x/y", "a/y/x", "b/x", "b", "x", "catalog", "r1", "a.x", "a/alice", "a/a/x", "a/../b", "a//x",
				"a/x/y/x", "b/x/y", "a/a/x/y"),
		},
		Actions: rapid.SliceOfN(rapid.SampledFrom([]string{"pull", "push", "*", "publish", "list", "", "foo"}), 1, 4).Draw(t, "actions"),
		SourceIP: rapid.SampledFrom([]netip.Addr{
			{}, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("192.0.2.1"),
			netip.MustParseAddr("fd00::1"),
		}).Draw(t, "address"),
		Time: rapid.SampledFrom([]time.Time{
			time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), {},
			time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC),
		}).Draw(t, "time"),
	}
	switch rapid.IntRange(0, 3).Draw(t, "admits") {
	case 0:
	case 1:
		req.Admits = func(namespace string) bool { return namespace == "a" }
	default:
		req.Admits = everyNamespace
	}
	return req
}

func drawObjects(t *rapid.T) []object {
	var objects []object
	for i := range rapid.IntRange(2, 12).Draw(t, "policies") {
		o := drawObject(t, string(rune('p'+i)))
		_, o.problems = o.compile()
		objects = append(objects, o)
	}
	return objects
}

func index(objects []object) *Index {
	var policies []*Policy
	for _, o := range objects {
		p, _ := o.compile()
		policies = append(policies, p)
	}
	return NewIndex(policies)
}

func TestIndexAgreesWithNaiveMatcher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		objects := drawObjects(t)
		x := index(objects)
		for range 30 {
			compareWithNaive(t, x, objects, drawRequest(t))
		}
	})
}

func compareWithNaive(t *rapid.T, x *Index, objects []object, req Request) {
	asked := slices.Clone(req.Actions)
	want := naiveDecide(objects, req)
	if diff := cmp.Diff(want, x.Explain(req), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("policies %+v\nrequest %+v\n%s", objects, req, diff)
	}
	want.Why = nil
	if diff := cmp.Diff(want, x.Decide(req), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("Decide differs from Explain: %s", diff)
	}
	if !slices.Equal(asked, req.Actions) {
		t.Fatalf("the request was changed: %v", req.Actions)
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		objects, req := drawObjects(t), drawRequest(t)
		want := index(objects).Explain(req)
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Shuffle(len(objects), func(i, j int) {
			objects[i], objects[j] = objects[j], objects[i]
		})
		req.Actions = slices.Clone(req.Actions)
		slices.Reverse(req.Actions)
		slices.Reverse(req.Caller.Groups)
		if diff := cmp.Diff(want, index(objects).Explain(req)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestNothingIsGrantedFromNowhere holds the laws that an attacker would have to break.
func TestNothingIsGrantedFromNowhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		objects, req := drawObjects(t), drawRequest(t)
		before := index(objects).Decide(req)
		extra := drawObject(t, "extra")
		after := index(append(slices.Clone(objects), extra)).Decide(req)
		deny := extra.spec.Effect == v1alpha1.EffectDeny
		for _, a := range after.Granted {
			if a == "*" && req.Resource.Type != "registry" {
				t.Fatalf("a literal * was granted: %v", after)
			}
			if deny && !slices.Contains(before.Granted, a) {
				t.Fatalf("a Deny granted %q: %+v", a, extra)
			}
		}
		for _, a := range before.Granted {
			if !deny && !slices.Contains(after.Granted, a) {
				t.Fatalf("an Allow took %q away: %+v", a, extra)
			}
		}
		if extra.namespace == "" {
			return
		}
		inside := req.Resource.Namespace == extra.namespace
		if req.Resource.Type == "repository" {
			inside = len(req.Resource.Name) > 2 && req.Resource.Name[:2] == extra.namespace+"/"
		}
		if !inside && !slices.Equal(before.Granted, after.Granted) {
			t.Fatalf("a tenant's policy reached outside: %+v: %v, then %v", extra, before.Granted, after.Granted)
		}
		platform := index(slices.DeleteFunc(slices.Clone(objects), func(o object) bool { return o.namespace != "" })).Decide(req)
		for _, a := range platform.Granted {
			if !slices.Contains(after.Granted, a) {
				t.Fatalf("a tenant took away %q, which the platform gives", a)
			}
		}
	})
}
