package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

func onNATS(effect change, names ...v1alpha1.ResourceName) change {
	return func(o *object) {
		if effect != nil {
			effect(o)
		}
		o.spec.Rules = []v1alpha1.Rule{{Type: v1alpha1.TypeNATS, Names: names, Actions: []v1alpha1.Action{"*"}}}
	}
}

func TestNATSPermissions(t *testing.T) {
	none := NATSSubjects{Deny: []string{">"}}
	extra := func(values ...string) func(*Request) {
		return func(req *Request) { req.Caller.Extra = map[string][]string{"k": values} }
	}
	cases := map[string]struct {
		reason   string
		policies []object
		request  []func(*Request)
		want     NATSPermissions
	}{
		"nothing matches": {
			reason: "NATS reads an empty list as everything",
			want:   NATSPermissions{Publish: none, Subscribe: none},
		},
		"only one of the actions": {
			reason:   "the other one is not open to all because nobody spoke of it",
			policies: []object{allow(on("nats", "axiom.>", "publish"))},
			want:     NATSPermissions{Publish: NATSSubjects{Allow: []string{"axiom.>"}}, Subscribe: none},
		},
		"what others cover is left out, and a Deny that takes nothing away, too": {
			policies: []object{
				allow(onNATS(nil, "a.>", "a.b", "a.*", "z", "a.>")), deny(onNATS(denies, "a.secret.>", "a.secret.x", "elsewhere.>")),
			},
			want: NATSPermissions{
				Publish:   NATSSubjects{Allow: []string{"a.>", "z"}, Deny: []string{"a.secret.>"}},
				Subscribe: NATSSubjects{Allow: []string{"a.>", "z"}, Deny: []string{"a.secret.>"}},
			},
		},
		"all that is allowed is denied": {
			policies: []object{allow(onNATS(nil, "a.b", "a.c")), deny(onNATS(denies, "a.*"))},
			want:     NATSPermissions{Publish: none, Subscribe: none},
		},
		"a Deny that was not understood": {
			reason:   "it denies every subject",
			policies: []object{allow(onNATS(nil, "a.b")), deny(onNATS(denies, "foo*.bar"))},
			want:     NATSPermissions{Publish: none, Subscribe: none},
		},
		"an Allow that was not understood": {
			policies: []object{allow(onNATS(nil, "a.b", "foo*.bar"))},
			want:     NATSPermissions{Publish: none, Subscribe: none},
		},
		"a Deny of rules of no type at all": {
			policies: []object{allow(onNATS(nil, "a.b")), deny(func(o *object) { o.spec.Rules = nil })},
			want:     NATSPermissions{Publish: none, Subscribe: none},
		},
		"each value of a placeholder": {
			policies: []object{allow(onNATS(nil, "user.${subject.extra.k}.>"))}, request: []func(*Request){extra("x", "y")},
			want: NATSPermissions{
				Publish: NATSSubjects{Allow: []string{"user.x.>", "user.y.>"}}, Subscribe: NATSSubjects{Allow: []string{"user.x.>", "user.y.>"}},
			},
		},
		"a value with a wildcard in it": {
			reason:   "a caller whose name is a star must not have every name",
			policies: []object{allow(onNATS(nil, "user.${subject.extra.k}.>"))}, request: []func(*Request){extra("*", ">", "a.b", "a b", "a\x00")},
			want: NATSPermissions{Publish: none, Subscribe: none},
		},
		"a Deny with a value with a wildcard in it": {
			reason:   "a caller must not slip out of a Deny by its name",
			policies: []object{allow(onNATS(nil, "a.>")), deny(onNATS(denies, "a.${subject.extra.k}"))}, request: []func(*Request){extra("x", "*")},
			want: NATSPermissions{Publish: none, Subscribe: none},
		},
		"an Allow that asks about the subject": {
			reason:   "there is none to ask about: what is not known does not allow",
			policies: []object{allow(onNATS(nil, "a.>"), cel("resource.name != 'a.secret'"))},
			want:     NATSPermissions{Publish: none, Subscribe: none},
		},
		"a Deny that asks about the subject": {
			reason:   "what is not known denies",
			policies: []object{allow(onNATS(nil, "a.>")), deny(onNATS(denies, "a.b"), cel("resource.name == 'never'"))},
			want: NATSPermissions{
				Publish: NATSSubjects{Allow: []string{"a.>"}, Deny: []string{"a.b"}}, Subscribe: NATSSubjects{Allow: []string{"a.>"}, Deny: []string{"a.b"}},
			},
		},
		"an expression about the action": {
			policies: []object{allow(onNATS(nil, "a.>"), cel("action == 'subscribe'"))},
			want:     NATSPermissions{Publish: none, Subscribe: NATSSubjects{Allow: []string{"a.>"}}},
		},
		"a policy that ends": {
			reason:   "the token ends with it",
			policies: []object{allow(onNATS(nil, "a.>"), until("2026-07-01T00:00:00Z"))},
			want: NATSPermissions{
				Publish: NATSSubjects{Allow: []string{"a.>"}}, Subscribe: NATSSubjects{Allow: []string{"a.>"}},
				NotAfter: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC),
			},
		},
		"a policy that ends, beside one that does not": {
			policies: []object{allow(onNATS(nil, "a.b"), until("2026-07-01T00:00:00Z")), allow(onNATS(nil, "a.>"))},
			want:     NATSPermissions{Publish: NATSSubjects{Allow: []string{"a.>"}}, Subscribe: NATSSubjects{Allow: []string{"a.>"}}},
		},
		"two policies that end": {
			reason:   "the token must not outlive the first",
			policies: []object{allow(onNATS(nil, "a.>"), until("2026-08-01T00:00:00Z")), allow(onNATS(nil, "b"), until("2026-07-01T00:00:00Z"))},
			want: NATSPermissions{
				Publish: NATSSubjects{Allow: []string{"a.>", "b"}}, Subscribe: NATSSubjects{Allow: []string{"a.>", "b"}},
				NotAfter: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC),
			},
		},
		"a policy that is about to end": {
			reason:   "no token is as short, and it must not take the rest with it",
			policies: []object{allow(onNATS(nil, "a.>"), until("2026-06-01T12:00:30Z")), allow(onNATS(nil, "b"))},
			want:     NATSPermissions{Publish: NATSSubjects{Allow: []string{"b"}}, Subscribe: NATSSubjects{Allow: []string{"b"}}},
		},
		"another audience": {
			policies: []object{allow(onNATS(nil, "a.>"), audience("other"))},
			want:     NATSPermissions{Publish: none, Subscribe: none},
		},
		"somebody else": {
			policies: []object{allow(onNATS(nil, "a.>"), to(v1alpha1.SubjectUser, "somebody"))},
			want:     NATSPermissions{Publish: none, Subscribe: none},
		},
		"a tenant": {
			reason:   "subjects are the platform's alone",
			policies: []object{ofTenant(onNATS(nil, "a.>"))},
			want:     NATSPermissions{Publish: none, Subscribe: none},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			at := func(req *Request) { req.Time = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }
			got, err := index(c.policies).NATS(request(append([]func(*Request){at}, c.request...)...), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestNATSIsBounded has policies say more than a token can hold. They must not be cut: what is left of a Deny lets through
// what it denies.
func TestNATSIsBounded(t *testing.T) {
	many := func(n int, name string, changes ...change) []object {
		var objects []object
		for i := range n {
			objects = append(objects, made("", append([]change{onNATS(nil, v1alpha1.ResourceName(fmt.Sprintf(name, i)))}, changes...)...))
		}
		return objects
	}
	values := func(n int) func(*Request) {
		return func(req *Request) {
			var list []string
			for i := range n {
				list = append(list, fmt.Sprint(i))
			}
			req.Caller.Extra = map[string][]string{"k": list, "l": list}
		}
	}
	everything := []object{allow(onNATS(nil, ">"))}
	cases := map[string]struct {
		policies []object
		request  func(*Request)
		fits     bool
	}{
		"256 subjects fit":                    {policies: many(MaxSubjects, "a.%d"), fits: true},
		"257 subjects":                        {policies: many(MaxSubjects+1, "a.%d")},
		"257 subjects that one covers":        {policies: append(many(MaxSubjects+1, "a.%d"), everything...), fits: true},
		"257 subjects denied":                 {policies: append(many(MaxSubjects+1, "a.%d", denies), everything...)},
		"more rules than are looked at":       {policies: append(many(maxSubjectRules, "a.%d"), everything...)},
		"a placeholder with very many":        {policies: []object{allow(onNATS(nil, "a.${subject.extra.k}"))}, request: values(1000)},
		"two placeholders with many":          {policies: []object{allow(onNATS(nil, "${subject.extra.k}.${subject.extra.l}"))}, request: values(20)},
		"a Deny by a placeholder with many":   {policies: append([]object{deny(onNATS(denies, "a.${subject.extra.k}"))}, everything...), request: values(1000), fits: true},
		"a Deny by two of them denies it all": {policies: append([]object{deny(onNATS(denies, "${subject.extra.k}.${subject.extra.l}"))}, everything...), request: values(20), fits: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			req := request()
			if c.request != nil {
				c.request(&req)
			}
			got, err := index(c.policies).NATS(req, 0)
			if fits := err == nil; fits != c.fits {
				t.Fatalf("got %d allowed, %d denied, error %v", len(got.Publish.Allow), len(got.Publish.Deny), err)
			}
			if strings.HasPrefix(name, "a Deny by") && len(got.Publish.Allow) > 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// passes is what a NATS server does with a subject that holds no wildcard.
func passes(s NATSSubjects, subject string) bool {
	matches := func(pattern string) bool { return natsMatch(strings.Split(pattern, "."), strings.Split(subject, ".")) }
	return (len(s.Allow) == 0 || slices.ContainsFunc(s.Allow, matches)) && !slices.ContainsFunc(s.Deny, matches)
}

// natsMatch is the protocol's own definition, and not how the lists are made.
func natsMatch(pattern, subject []string) bool {
	if len(pattern) == 0 || len(subject) == 0 {
		return len(pattern) == len(subject)
	}
	if pattern[0] == ">" {
		return len(pattern) == 1
	}
	return (pattern[0] == "*" || pattern[0] == subject[0]) && natsMatch(pattern[1:], subject[1:])
}

// TestNATSAgreesWithDecide draws policies, and asks about each subject that few words make: a server with the lists and
// Decide say the same, unless an expression asks about the subject; then the server may be stricter, and never laxer.
func TestNATSAgreesWithDecide(t *testing.T) {
	var names []string
	words := []string{"a", "x", "y", "alice", "b"}
	for _, one := range words {
		names = append(names, one)
		for _, two := range words {
			names = append(names, one+"."+two)
			for _, three := range words {
				names = append(names, one+"."+two+"."+three)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		objects, asks := drawSubjectPolicies(t)
		x, req := index(objects), drawRequest(t)
		req.Resource = Resource{}
		if rapid.IntRange(0, 3).Draw(t, "known") > 0 {
			req.Caller = rapid.SampledFrom([]caller.Caller{
				{Username: "alice", Groups: []string{"system:authenticated"}, Extra: map[string][]string{"k": {"a", "x"}}},
				{Username: "bob", Groups: []string{"system:authenticated"}, Extra: map[string][]string{"k": {"a", "*"}}},
				{Username: "x", Groups: []string{"system:authenticated", "devs"}},
			}).Draw(t, "somebody")
		}
		got, err := x.NATS(req, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, subject := range names {
			one := req
			one.Resource, one.Actions = Resource{Type: v1alpha1.TypeNATS, Name: subject}, []string{"publish", "subscribe"}
			decided := naiveDecide(objects, one)
			for action, list := range map[string]NATSSubjects{"publish": got.Publish, "subscribe": got.Subscribe} {
				passed, granted := passes(list, subject), slices.Contains(decided.Granted, action)
				if passed && !granted || granted && !passed && !asks {
					t.Fatalf("policies %+v\nrequest %+v\n%s %s: granted %v, the server says %v by %+v", objects, req, action, subject, granted, passed, list)
				}
				one.Actions = []string{action}
				if until := naiveDecide(objects, one).NotAfter; passed && !until.IsZero() && (got.NotAfter.IsZero() || got.NotAfter.After(until)) {
					t.Fatalf("%s %s: the permissions last until %v, what is granted until %v", action, subject, got.NotAfter, until)
				}
			}
		}
	})
}

// drawSubjectPolicies draws policies about subjects that mostly concern the caller, and says whether one asks about the
// subject.
func drawSubjectPolicies(t *rapid.T) (objects []object, asks bool) {
	for i := range rapid.IntRange(1, 6).Draw(t, "policies") {
		label := string(rune('p' + i))
		d := drawer{t, label, rapid.IntRange(0, 9).Draw(t, label+"odd") == 9}
		o := object{name: label}
		if d.number("effect", 0, 2) == 2 {
			o.spec.Effect = v1alpha1.EffectDeny
		}
		o.spec.Subjects = []v1alpha1.Subject{drawSubject(d)}
		if d.number("who", 0, 2) > 0 {
			o.spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectGroup, Name: "system:authenticated"}}
		}
		for range d.number("rules", 1, 2) {
			r := v1alpha1.Rule{Type: v1alpha1.TypeNATS}
			for range d.number("names", 1, 3) {
				r.Names = append(r.Names, v1alpha1.ResourceName(drawName(d, "nats", "")))
			}
			for range d.number("actions", 1, 2) {
				r.Actions = append(r.Actions, v1alpha1.Action(d.word("verb", "publish", "subscribe", "*")))
			}
			o.spec.Rules = append(o.spec.Rules, r)
		}
		if d.number("conditions", 0, 2) == 2 {
			o.spec.When = drawWhen(d)
		}
		asks = asks || o.spec.When != nil && strings.Contains(o.spec.When.Expression, "resource.")
		_, o.problems = o.compile()
		objects = append(objects, o)
	}
	return objects, asks
}

// TestSubjectsCoverAndOverlap compares the two with what they mean: which of all names of few words match.
func TestSubjectsCoverAndOverlap(t *testing.T) {
	var names, patterns []string
	grow := func(list []string, words ...string) []string {
		grown := slices.Clone(words)
		for _, prefix := range list {
			for _, word := range words {
				grown = append(grown, prefix+"."+word)
			}
		}
		return grown
	}
	for range 4 {
		names = grow(names, "a", "b", "c")
	}
	for range 3 {
		patterns = grow(patterns, "a", "b", "*")
	}
	patterns = append(append(patterns, ">"), func() (rest []string) {
		for _, p := range patterns {
			rest = append(rest, p+".>")
		}
		return rest
	}()...)
	matched := map[string]map[string]bool{}
	for _, p := range patterns {
		matched[p] = map[string]bool{}
		for _, n := range names {
			if natsMatch(strings.Split(p, "."), strings.Split(n, ".")) {
				matched[p][n] = true
			}
		}
	}
	for _, a := range patterns {
		for _, b := range patterns {
			common := 0
			for n := range matched[b] {
				if matched[a][n] {
					common++
				}
			}
			if got, want := covers(a, b), common == len(matched[b]); got != want && depth(b) < 4 {
				t.Errorf("%s covers %s: got %v", a, b, got)
			}
			if got, want := overlap(a, b), common > 0; got != want && depth(a) < 4 && depth(b) < 4 {
				t.Errorf("%s overlaps %s: got %v", a, b, got)
			}
		}
	}
}

func depth(subject string) int { return strings.Count(subject, ".") + 1 }
