package policy

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// approved gives bob the scopes pull and push of the album holiday in team-a, at registry r1.
func approved() (Ref, string, string, Resource, []string) {
	return Ref{KindPermissionRequest, "team-a", "preq"}, "bob", "r1", Resource{"album", "team-a", "holiday"}, []string{"pull", "push"}
}

// bob asks for all that there is of the album holiday.
func bob(edits ...func(*Request)) Request {
	req := Request{
		Caller:   caller.Caller{Username: "bob", Groups: []string{caller.GroupAuthenticated}, Method: caller.MethodPassword},
		Audience: "r1", Resource: Resource{"album", "team-a", "holiday"}, Actions: []string{"delete", "pull", "push", "*"},
		Admits: func(namespace string) bool { return namespace == "team-a" },
	}
	for _, edit := range edits {
		edit(&req)
	}
	return req
}

func TestAnApprovalGivesExactlyOneResourceToOneUser(t *testing.T) {
	x := NewIndex([]*Policy{Approval(approved())})
	both := []string{"pull", "push"}
	cases := map[string]struct {
		reason string
		args   func(*Request)
		want   []string
	}{
		"its user":               {"that is what it is for", func(*Request) {}, both},
		"another user":           {"the approval names one", func(r *Request) { r.Caller.Username = "alice" }, nil},
		"a user by another case": {"names are compared as they are", func(r *Request) { r.Caller.Username = "Bob" }, nil},
		"a group of the name":    {"a group is no user", func(r *Request) { r.Caller.Username, r.Caller.Groups = "alice", []string{"bob"} }, nil},
		"nobody":                 {"an empty name is nobody's", func(r *Request) { r.Caller.Username = "" }, nil},
		"another audience":       {"another server has its own resources", func(r *Request) { r.Audience = "r2" }, nil},
		"no audience":            {"it speaks of one", func(r *Request) { r.Audience = "" }, nil},
		"another type":           {"it is another resource", func(r *Request) { r.Resource.Type = "folder" }, nil},
		"a repository":           {"a tenant's album is no repository", func(r *Request) { r.Resource = Resource{Type: "repository", Name: "team-a/holiday"} }, nil},
		"another namespace":      {"another tenant's resource may have the name", func(r *Request) { r.Resource.Namespace = "team-b" }, nil},
		"no namespace":           {"as above", func(r *Request) { r.Resource.Namespace = "" }, nil},
		"another name":           {"it is another resource", func(r *Request) { r.Resource.Name = "holiday2" }, nil},
		"below the name":         {"it is another resource", func(r *Request) { r.Resource.Name = "holiday/x" }, nil},
		"an audience that does not admit the namespace": {"its approvals say nothing there", func(r *Request) {
			r.Admits = func(string) bool { return false }
		}, nil},
		"an audience of which that is not known": {"unknown is not safe", func(r *Request) { r.Admits = nil }, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := x.Decide(bob(tc.args)).Granted; !slices.Equal(got, tc.want) {
				t.Errorf("%s: granted %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// TestAnApprovalOfTooMuchIsNone tries to widen what is given by what stands in an object. Each index is asked for what the
// attack is after, and for what the object would give without it.
func TestAnApprovalOfTooMuchIsNone(t *testing.T) {
	cases := map[string]struct {
		reason string
		edit   func(ref *Ref, username, audience *string, resource *Resource, actions *[]string)
		ask    func(*Request)
	}{
		"a star for a name":   {"every album", func(_ *Ref, _, _ *string, r *Resource, _ *[]string) { r.Name = "*" }, nil},
		"two stars":           {"every album", func(_ *Ref, _, _ *string, r *Resource, _ *[]string) { r.Name = "**" }, nil},
		"a star in a name":    {"every album that begins so", func(_ *Ref, _, _ *string, r *Resource, _ *[]string) { r.Name = "holi*" }, nil},
		"a placeholder":       {"whatever the caller is called", func(_ *Ref, _, _ *string, r *Resource, _ *[]string) { r.Name = "${subject.username}" }, func(r *Request) { r.Resource.Name = "bob" }},
		"no name":             {"nothing in particular", func(_ *Ref, _, _ *string, r *Resource, _ *[]string) { r.Name = "" }, nil},
		"no type":             {"every type", func(_ *Ref, _, _ *string, r *Resource, _ *[]string) { r.Type = "" }, nil},
		"type repository":     {"the registry's", func(_ *Ref, _, _ *string, r *Resource, _ *[]string) { r.Type = "repository" }, func(r *Request) { r.Resource = Resource{Type: "repository", Name: "team-a/holiday"} }},
		"type registry":       {"the registry's", func(_ *Ref, _, _ *string, r *Resource, _ *[]string) { r.Type, r.Name = "registry", "catalog" }, func(r *Request) { r.Resource = Resource{Type: "registry", Name: "catalog"} }},
		"type oauth":          {"the server's own functions", func(_ *Ref, _, _ *string, r *Resource, _ *[]string) { r.Type, r.Name = "oauth", "r1" }, func(r *Request) { r.Resource = Resource{Type: "oauth", Namespace: "team-a", Name: "r1"} }},
		"type nats":           {"the message bus", func(_ *Ref, _, _ *string, r *Resource, _ *[]string) { r.Type, r.Name = "nats", "a" }, func(r *Request) { r.Resource = Resource{Type: "nats", Namespace: "team-a", Name: "a"} }},
		"another tenant's":    {"what its namespace may not speak of", func(_ *Ref, _, _ *string, r *Resource, _ *[]string) { r.Namespace = "team-b" }, func(r *Request) { r.Resource.Namespace, r.Admits = "team-b", everyNamespace }},
		"no namespace":        {"the platform's", func(ref *Ref, _, _ *string, r *Resource, _ *[]string) { ref.Namespace, r.Namespace = "", "" }, func(r *Request) { r.Resource.Namespace, r.Admits = "", everyNamespace }},
		"the platform's kind": {"what no Deny of the tenant's takes away", func(ref *Ref, _, _ *string, _ *Resource, _ *[]string) { ref.Kind = KindClusterAccessPolicy }, nil},
		"no audience":         {"every audience", func(_ *Ref, _, audience *string, _ *Resource, _ *[]string) { *audience = "" }, nil},
		"no user":             {"nobody in particular", func(_ *Ref, username, _ *string, _ *Resource, _ *[]string) { *username = "" }, func(r *Request) { r.Caller.Username = "" }},
		"the anonymous user":  {"everybody", func(_ *Ref, username, _ *string, _ *Resource, _ *[]string) { *username = caller.AnonymousUser }, func(r *Request) { r.Caller = caller.Anonymous() }},
		"a group as a user":   {"everybody", func(_ *Ref, username, _ *string, _ *Resource, _ *[]string) { *username = caller.GroupAuthenticated }, func(r *Request) { r.Caller.Username = caller.GroupAuthenticated }},
		"all ServiceAccounts": {"all of a namespace", func(_ *Ref, username, _ *string, _ *Resource, _ *[]string) {
			*username = "system:serviceaccount:team-a:"
		}, func(r *Request) { r.Caller.Username = "system:serviceaccount:team-a:" }},
		"no actions":           {"every action", func(_ *Ref, _, _ *string, _ *Resource, actions *[]string) { *actions = nil }, nil},
		"a star for an action": {"every action", func(_ *Ref, _, _ *string, _ *Resource, actions *[]string) { *actions = []string{"*"} }, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ref, username, audience, resource, actions := approved()
			tc.edit(&ref, &username, &audience, &resource, &actions)
			p := Approval(ref, username, audience, resource, actions)
			x := NewIndex([]*Policy{p})
			requests := []Request{bob(), bob(func(r *Request) { r.Resource.Name = "bob" })}
			if tc.ask != nil {
				requests = append(requests, bob(tc.ask))
			}
			for _, req := range requests {
				if got := x.Decide(req).Granted; len(got) > 0 {
					t.Errorf("%s: %+v is granted %q", tc.reason, req, got)
				}
			}
			if p.Ref() != ref || x.Len() != 1 {
				t.Error("it is not counted as what it is")
			}
		})
	}
	if got := NewIndex([]*Policy{Approval(approved())}).Decide(bob()).Granted; len(got) == 0 {
		t.Error("nothing is granted without an attack either, so that nothing was shown")
	}
}

func TestADenyTakesAnApprovalAwayAndAnAllowTheLessDoesNot(t *testing.T) {
	compiled := func(namespace string, effect v1alpha1.Effect, actions ...v1alpha1.Action) *Policy {
		o := object{namespace: namespace, name: "p", spec: v1alpha1.PolicySpec{
			Effect: effect, Subjects: []v1alpha1.Subject{{Kind: v1alpha1.SubjectGroup, Name: caller.GroupAuthenticated}},
			Rules: []v1alpha1.Rule{{Type: "album", Names: []v1alpha1.ResourceName{"**"}, Actions: actions}},
		}}
		p, problems := o.compile()
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return p
	}
	approval := Approval(approved())
	x := NewIndex([]*Policy{approval})
	granted := func(x *Index) []string { return x.Decide(bob()).Granted }
	for name, deny := range map[string]*Policy{
		"a tenant's":     compiled("team-a", v1alpha1.EffectDeny, "push"),
		"the platform's": compiled("", v1alpha1.EffectDeny, "push"),
	} {
		with := x.Apply([]Change{{New: deny}})
		if diff := cmp.Diff([]string{"pull"}, granted(with)); diff != "" {
			t.Errorf("%s Deny: -want +got:\n%s", name, diff)
		}
		if diff := cmp.Diff([]string{"pull", "push"}, granted(with.Apply([]Change{{Old: deny}}))); diff != "" {
			t.Errorf("%s Deny gone: -want +got:\n%s", name, diff)
		}
	}
	other := compiled("team-b", v1alpha1.EffectDeny, "push")
	if diff := cmp.Diff([]string{"pull", "push"}, granted(x.Apply([]Change{{New: other}}))); diff != "" {
		t.Errorf("a Deny of another tenant: -want +got:\n%s", diff)
	}
	// The platform's Allow stays where a tenant denies; the approval goes.
	allow, deny := compiled("", v1alpha1.EffectAllow, "delete"), compiled("team-a", v1alpha1.EffectDeny, "*")
	if diff := cmp.Diff([]string{"delete"}, granted(x.Apply([]Change{{New: allow}, {New: deny}}))); diff != "" {
		t.Errorf("beside the platform's Allow: -want +got:\n%s", diff)
	}
	tenants := compiled("team-a", v1alpha1.EffectAllow, "delete", "pull")
	beside := x.Apply([]Change{{New: tenants}})
	if diff := cmp.Diff([]string{"pull", "push"}, granted(beside.Apply([]Change{{Old: tenants}}))); diff != "" {
		t.Errorf("a tenant's Allow gone: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"delete", "pull"}, granted(beside.Apply([]Change{{Old: approval}}))); diff != "" {
		t.Errorf("the approval gone: -want +got:\n%s", diff)
	}
}

// TestAnApprovalIsNamedInWhy is what the audit log and can-i go by.
func TestAnApprovalIsNamedInWhy(t *testing.T) {
	ref, username, audience, resource, actions := approved()
	owner := Ref{KindProtectedResource, "team-a", "holiday"}
	policies := []*Policy{Approval(ref, username, audience, resource, actions), Approval(owner, "bob", audience, resource, []string{"push"})}
	want := []Reason{
		{Policy: ref, Effect: v1alpha1.EffectAllow, Action: "pull"},
		{Policy: ref, Effect: v1alpha1.EffectAllow, Action: "push"}, {Policy: owner, Effect: v1alpha1.EffectAllow, Action: "push"},
	}
	if diff := cmp.Diff(want, NewIndex(policies).Explain(bob()).Why); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	deny, _ := object{namespace: "team-a", name: "deny", spec: v1alpha1.PolicySpec{
		Effect: v1alpha1.EffectDeny, Subjects: []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "bob"}}, Rules: rules("album", "holiday", "pull"),
	}}.compile()
	req := bob(func(r *Request) { r.Actions = []string{"pull"} })
	if got := WhoCan(policies, req); len(got.Can) != 1 || got.Can[0].Policy != ref || got.Can[0].Subject.Name != "bob" || !got.Can[0].Certain() {
		t.Errorf("who can: %+v", got)
	}
	if got := WhoCan(append(policies, deny), req); len(got.Can) != 0 || len(got.Denied) != 1 {
		t.Errorf("who can, though a tenant denies it: %+v", got)
	}
}

// TestAnIndexForgetsAnApproval holds that nothing is left of one that has gone.
func TestAnIndexForgetsAnApproval(t *testing.T) {
	p := Approval(approved())
	var none *Index
	x := none.Apply([]Change{{New: p}}).Apply([]Change{{Old: p}})
	if diff := cmp.Diff(NewIndex(nil), x, cmp.AllowUnexported(Index{}, table[*subject]{}), cmpopts.EquateEmpty()); diff != "" || x.Len() != 0 {
		t.Errorf("left: %s", diff)
	}
}
