package admission

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	engine "github.com/tokenwright/tokenwright/tokenserver/policy"
)

// grantsNothingOutside asks the compiler and the index for whatever a policy of namespace team-a must never give: to
// anybody what lies outside of team-a, and to callers without credentials more than to pull. What gets past the door for
// want of an admission policy must not get past this.
func grantsNothingOutside(t *testing.T, p *v1alpha1.AccessPolicy) {
	t.Helper()
	compiled, _ := engine.CompileAccessPolicy(p)
	index := engine.NewIndex([]*engine.Policy{compiled})
	ask := func(who caller.Caller, resource engine.Resource, actions ...string) {
		t.Helper()
		decision := index.Decide(engine.Request{
			Caller: who, Audience: "registry.example.com", Resource: resource, Actions: actions,
			SourceIP: netip.MustParseAddr("192.0.2.1"), Time: time.Now(), Admits: func(string) bool { return true },
		})
		if len(decision.Granted) > 0 {
			t.Errorf("the compiler lets %q have %v on %+v", who.Username, decision.Granted, resource)
		}
	}
	callers := []caller.Caller{
		{Username: "alice", Groups: []string{caller.GroupAuthenticated}, Method: caller.MethodPassword,
			Extra: map[string][]string{"team": {"team-b", "**", "team-a/../team-b"}}},
		{Username: caller.ServiceAccountUser("team-b", "x"), Groups: caller.ServiceAccountGroups("team-b"), Method: caller.MethodServiceAccount},
		{Username: caller.ServiceAccountUser("team-a", "ci"), Groups: caller.ServiceAccountGroups("team-a"), Method: caller.MethodServiceAccount},
		caller.Anonymous(),
	}
	for _, who := range callers {
		for _, name := range []string{
			"x", "team-a", "team-b", "team-b/x", "team-b/x/y", "team-ab/x", "team-c/x", "team-a../x", "TEAM-A/x", "registry.example.com/team-a/x", "team-b/team-a/x",
			"%74eam-a/x", "team-a%2fx", `team-a\x`, "team‑a/x", "team-a\u200b/x", "team-a∕x", " team-a/x", "te\u0430m-a/x", "team-a/../team-b/x",
		} {
			ask(who, engine.Resource{Type: v1alpha1.TypeRepository, Name: name}, "pull", "push", "delete")
		}
		ask(who, engine.Resource{Type: v1alpha1.TypeRegistry, Name: "catalog"}, "*")
		ask(who, engine.Resource{Type: v1alpha1.TypeNATS, Name: "team-a.x"}, "publish", "subscribe")
		ask(who, engine.Resource{Type: v1alpha1.TypeOAuth, Name: "registry.example.com"}, "introspect", "exchange", "revoke", "list", "register_for_others")
		ask(who, engine.Resource{Type: "photo", Namespace: "team-b", Name: "x"}, "read", "pull")
		ask(who, engine.Resource{Type: "photo", Name: "x"}, "read", "pull")
	}
	ask(caller.Anonymous(), engine.Resource{Type: v1alpha1.TypeRepository, Name: "team-a/x"}, "push", "delete")
	ask(caller.Anonymous(), engine.Resource{Type: "photo", Namespace: "team-a", Name: "x"}, "read")
}
