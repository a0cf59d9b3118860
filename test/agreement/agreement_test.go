package agreement

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/review"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// drawer draws words.
type drawer struct {
	*rapid.T
	label string
}

func (d drawer) word(what string, words ...string) string {
	return rapid.SampledFrom(words).Draw(d.T, d.label+" "+what)
}

func drawSpec(d drawer) v1alpha1.PolicySpec {
	spec := v1alpha1.PolicySpec{Effect: v1alpha1.Effect(d.word("effect", "Allow", "Allow", "Allow", "Allow", "Deny"))}
	spec.Subjects = rapid.SliceOfN(rapid.SampledFrom([]v1alpha1.Subject{
		{Kind: "User", Name: "alice"}, {Kind: "User", Name: "system:anonymous"}, {Kind: "Group", Name: "corp:devs & ops/*"},
		{Kind: "Group", Name: "system:authenticated"}, {Kind: "Group", Name: "system:unauthenticated"}, {Kind: "Group", Name: "system:serviceaccounts"},
		{Kind: "Group", Name: "system:serviceaccounts:a"}, {Kind: "ServiceAccount", Namespace: "a", Name: "ci"},
	}), 1, 4).Draw(d.T, d.label+" subjects")
	if audience := d.word("audience", "", "", "r1", "r2", "r3"); audience != "" {
		spec.Audiences = []v1alpha1.Audience{v1alpha1.Audience(audience)}
	}
	for i := range rapid.IntRange(1, 2).Draw(d.T, d.label+" rules") {
		r := drawer{d.T, fmt.Sprintf("%s rule %d", d.label, i)}
		spec.Rules = append(spec.Rules, v1alpha1.Rule{
			Type: r.word("type", "repository", "repository", "repository", "registry", "album"),
			Names: []v1alpha1.ResourceName{v1alpha1.ResourceName(r.word("name", "a/**", "a/x", "a/*", "a/${subject.username}", "a/${subject.extra.k}/**", "a/x*",
				"**", "*/x", "catalog", "b/**", "${subject.namespace}/**"))},
			Actions: []v1alpha1.Action{v1alpha1.Action(r.word("action", "pull", "push", "*", "*", "delete"))},
		})
	}
	if d.word("when", "no", "no", "yes") == "yes" {
		spec.When = &v1alpha1.When{
			NotAfter: v1alpha1.DateTime(d.word("end", "", "", "2026-06-01T12:00:00Z", "2026-06-01T12:00:59Z", "2026-06-01T12:01:00Z", "2026-06-01T12:05:00Z")),
			Expression: d.word("expression", "", "", "subject.provider == 'users'", "subject.method == 'serviceaccount'", "subject.uid == ''", "action == 'pull'",
				"subject.extra['k'].exists(v, v == 'x')", "request.ip != ''", "audience == 'r1'", "subject.groups.size() > 2", "request.clientID != ''", "broken"),
		}
		if d.word("ranged", "no", "yes") == "yes" {
			spec.When.SourceRanges = []v1alpha1.CIDR{v1alpha1.CIDR(d.word("range", "10.0.0.0/8", "::/0"))}
		}
	}
	return spec
}

func drawObjects(t *rapid.T) review.Objects {
	o := review.Objects{Namespaces: map[string]map[string]string{"a": {"open": "yes"}, "b": nil}}
	for i := range rapid.IntRange(2, 16).Draw(t, "policies") {
		d := drawer{t, fmt.Sprintf("p%d", i)}
		spec := drawSpec(d)
		if namespace := d.word("namespace", "", "a", "a", "b"); namespace != "" {
			p := &v1alpha1.AccessPolicy{Spec: v1alpha1.AccessPolicySpec{PolicySpec: spec}}
			p.Namespace, p.Name = namespace, d.label
			o.AccessPolicies = append(o.AccessPolicies, p)
			continue
		}
		p := &v1alpha1.ClusterAccessPolicy{Spec: v1alpha1.ClusterAccessPolicySpec{PolicySpec: spec}}
		p.Name = d.label
		o.ClusterAccessPolicies = append(o.ClusterAccessPolicies, p)
	}
	return o
}

// snapshotOf is what a server makes of the objects, by itself.
func snapshotOf(o review.Objects, keys []snapshot.Keys) *snapshot.Snapshot {
	var policies []*policy.Policy
	for _, object := range o.AccessPolicies {
		p, _ := policy.CompileAccessPolicy(object)
		policies = append(policies, p)
	}
	for _, object := range o.ClusterAccessPolicies {
		p, _ := policy.CompileClusterAccessPolicy(object)
		policies = append(policies, p)
	}
	return snapshot.Build(snapshot.Input{Policies: policy.NewIndex(policies), Keys: keys, Namespaces: snapshot.NewNamespaces(o.Namespaces), At: now})
}

func drawWho(t *rapid.T) review.Who {
	return rapid.SampledFrom([]review.Who{
		{User: "alice", Provider: "users"}, {User: "alice", Groups: []string{"corp:devs & ops/*"}, Provider: "corp", Extra: map[string][]string{"k": {"", "x", "*"}}},
		{User: "bob", UID: "7"}, {User: "system:anonymous"}, {User: "system:serviceaccount:a:ci", UID: "u", Provider: "cluster"},
		{User: "system:serviceaccount:b:ci"}, {User: "a/*", Groups: []string{"a b"}},
	}).Draw(t, "who")
}

// TestAnswersAreWhatServersIssue asks about each scope of a request, and has an issuer make the token of it.
func TestAnswersAreWhatServersIssue(t *testing.T) {
	log := audit.New(io.Discard)
	t.Cleanup(func() { _ = log.Close(context.Background()) })
	issuer := &issue.Issuer{
		Name: "https://auth.example.com", Audit: log, Random: rand.Reader,
		Metrics: metrics.New("test", func() metrics.State { return metrics.State{} }, time.Now),
	}
	begun := now.Add(-time.Minute)
	keys := []snapshot.Keys{fixture.Key(t, "all", v1alpha1.KeyID, begun, "r1"), fixture.Key(t, "some", v1alpha1.KeyID, begun, "r2")}
	keys[1].Object.Spec.Namespaces = v1alpha1.AdmittedNamespaces{
		From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"open": "yes"}},
	}
	granted, partly, refused := 0, 0, 0
	check := func(t *rapid.T) {
		objects := drawObjects(t)
		view := snapshotOf(objects, keys)
		for _, k := range keys {
			objects.SigningKeys = append(objects.SigningKeys, k.Object)
		}
		world := review.New(objects, false)
		for range 30 {
			who := drawWho(t)
			caller, err := who.Caller()
			if err != nil {
				t.Fatal(err)
			}
			d := drawer{t, "request"}
			audience, address := d.word("audience", "r1", "r2", "r3"), d.word("address", "", "10.0.0.1", "192.0.2.1")
			req := policy.Request{
				Caller: caller, Audience: audience, Time: now, Actions: []string{d.word("action", "pull", "push", "*", "delete", "scan")},
				Resource: policy.Resource{
					Type: d.word("type", "repository", "repository", "registry"), Name: d.word("name", "a/x", "a/x", "a/alice", "a/x/y", "b/x", "b/y", "catalog", "a", "x/x"),
				},
			}
			if address != "" {
				req.SourceIP = netip.MustParseAddr(address)
			}
			answer := world.Ask(req)
			if view.Audiences[audience] == nil {
				if len(answer.Granted) > 0 {
					t.Fatalf("there are no tokens for %s, and %v is granted", audience, answer.Granted)
				}
				continue
			}
			text := req.Resource.Type + ":" + req.Resource.Name + ":" + req.Actions[0]
			scopes, err := scope.Parse([]string{text})
			if err != nil {
				t.Fatal(err)
			}
			token, err := issuer.Registry(&issue.Request{
				Caller: caller, Audience: view.Audiences[audience], Policies: view.Policies, Scopes: scopes, SourceIP: req.SourceIP, ClientID: "docker", Time: now,
			})
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, g := range token.Granted {
				want = append(want, g.Actions...)
			}
			if diff := cmp.Diff(want, answer.Granted); diff != "" {
				t.Fatalf("%+v asks for %s of %s, from %s: (-server +answer)\n%s", who, text, audience, address, diff)
			}
			if end := token.IssuedAt.Add(token.ExpiresIn); len(want) > 0 && !answer.NotAfter.IsZero() && end.After(answer.NotAfter) {
				t.Fatalf("the token ends at %s, and %s was said", end, answer.NotAfter)
			}
			switch {
			case len(want) == 0:
				refused++
			case answer.Allowed():
				granted++
			default:
				partly++
			}
		}
	}
	// What is rare is checked until it was met often enough.
	for begun := time.Now(); (granted < 200 || partly < 20) && !t.Failed() && time.Since(begun) < time.Minute; {
		rapid.Check(t, check)
	}
	if granted < 200 || partly < 20 || refused < 200 {
		t.Errorf("%d were granted, %d in part, %d refused: this shows too little", granted, partly, refused)
	}
}
