package tokenserver

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// evaluation is one question of AuthZEN; a user is of the type user.
func evaluation(user, typ, id, action string) string {
	return `{"subject":{"type":"user","id":"` + user + `"},"resource":{"type":"` + typ + `","id":"` + id + `"},"action":{"name":"` + action + `"}}`
}

// startAuthZEN lets alice pull what is hers also by the API's audience, and denies what depends on where a caller is.
func startAuthZEN(t testing.TB) (*umaWorld, string) {
	t.Helper()
	w := startUMA(t, func(_ *Options, _ *Parts, input *snapshot.Input) {
		extra := fixture.Policies(t, append(slices.Concat(oauthPolicies()),
			fixture.Cluster("protects", users("rs"), oauthRule(api, "uma_protection"), nil),
			fixture.Cluster("local", users("bob"), typed("order", "eu-1", "write"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
				spec.When = &v1alpha1.When{SourceRanges: []v1alpha1.CIDR{"127.0.0.0/8", "::1/128"}}
			}),
			fixture.Cluster("claimed", users("bob"), typed("order", "eu-1", "delete"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
				spec.When = &v1alpha1.When{Expression: `"ward" in request.claims`}
			}))...)
		input.Policies = fixture.Owners(extra, protected(t)...)
	})
	pat := w.aat(t, "rs", "rs-secret", api, "uma_protection")
	return w, pat
}

func TestEvaluation(t *testing.T) {
	w, pat := startAuthZEN(t)
	cases := map[string]struct {
		reason, body string
		want         bool
	}{
		"Granted":                        {"", evaluation("alice", "order", "orders/eu-1", "read"), true},
		"Not granted":                    {"", evaluation("alice", "order", "orders/eu-1", "delete"), false},
		"The owner":                      {"", evaluation("alice", "album", "beach", "edit"), true},
		"Another than the owner":         {"", evaluation("bob", "album", "beach", "edit"), false},
		"A repository":                   {"", evaluation("alice", "repository", "team-a/app", "push"), true},
		"Another's repository":           {"", evaluation("bob", "repository", "team-a/app", "push"), false},
		"A repository for everything":    {"an action is one", evaluation("alice", "repository", "team-a/app", "*"), false},
		"No name of a repository":        {"", evaluation("alice", "repository", "team-a/a pp", "push"), false},
		"Two actions in one":             {"", evaluation("alice", "repository", "team-a/app", "pull,push"), false},
		"An unknown user":                {"", evaluation("carol", "order", "orders/eu-1", "read"), false},
		"Nobody in particular":           {"everybody is a member of that group, and nobody is it", evaluation("system:unauthenticated", "repository", "public/app", "pull"), false},
		"A user of an issuer":            {"their groups come with their own tokens only", evaluation("gh:octo-org/octo-repo", "order", "orders/eu-2", "read"), false},
		"A ServiceAccount":               {"", evaluation("system:serviceaccount:ci:builder", "repository", "public/app", "pull"), true},
		"A ServiceAccount of no name":    {"", evaluation("system:serviceaccount:ci", "repository", "public/app", "pull"), false},
		"A subject of another type":      {"", strings.Replace(evaluation("alice", "order", "orders/eu-1", "read"), `"user"`, `"group"`, 1), false},
		"An unknown resource":            {"", evaluation("alice", "order", "orders/none", "read"), false},
		"A resource of another type":     {"", evaluation("alice", "album", "orders/eu-1", "read"), false},
		"A resource of another server":   {"the PAT is not its", evaluation("alice", "order", "orders/us-1", "read"), false},
		"An unknown action":              {"", evaluation("alice", "order", "orders/eu-1", "fly"), false},
		"What a server does with itself": {"", evaluation("rs", "oauth", api, "uma_protection"), false},
		"By where the caller is":         {"who asks is the resource server, and where the user is nobody knows", evaluation("bob", "order", "orders/eu-1", "write"), false},
		"By claims that nobody signed": {"", `{"subject":{"type":"user","id":"bob","properties":{"ward":"7"}},"resource":{"type":"order","id":"orders/eu-1"},` +
			`"action":{"name":"delete"},"context":{"ward":["7"]}}`, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			want := `{"decision":false}`
			if tc.want {
				want = `{"decision":true}`
			}
			w.json(t, http.MethodPost, "/access/v1/evaluation", pat, tc.body).is(t, tc.reason, 200, want)
		})
	}
	w.isAudited(t)
}

// isAudited looks for one yes and one question about nobody in the audit log.
func (w *umaWorld) isAudited(t *testing.T) {
	t.Helper()
	type line struct {
		Outcome, Grant, Subject, Client, Audience string
		Claimed                                   string `json:"claimedAccount"`
		Requested, Granted                        []string
	}
	want := map[string]line{
		"yes":    {"decided", "authzen", "alice", "rs", api, "", []string{"album:beach:edit"}, []string{"album:beach:edit"}},
		"nobody": {"decided", "authzen", "", "rs", api, "carol", []string{"order:orders/eu-1:read"}, []string{}},
	}
	got := map[string]line{}
	for text := range strings.Lines(readFile(t, w.auditFile)) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		switch {
		case l.Grant == "authzen" && l.Claimed == "carol":
			got["nobody"] = l
		case l.Grant == "authzen" && l.Subject == "alice" && slices.Contains(l.Granted, "album:beach:edit"):
			got["yes"] = l
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

func TestEvaluations(t *testing.T) {
	w, pat := startAuthZEN(t)
	yes, no := evaluation("alice", "order", "orders/eu-1", "read"), evaluation("alice", "order", "orders/eu-1", "delete")
	many := func(options string, list ...string) string {
		return `{"evaluations":[` + strings.Join(list, ",") + `]` + options + `}`
	}
	semantic := func(name string) string { return `,"options":{"evaluations_semantic":"` + name + `"}` }
	answers := func(list ...string) string {
		return `{"evaluations":[{"decision":` + strings.Join(list, `},{"decision":`) + `}]}`
	}
	bad := func(text string) string { return problemOf("invalid_request", text) }
	cases := map[string]struct {
		reason, body string
		status       int
		want         string
	}{
		"All":                    {"", many("", yes, no, yes), 200, answers("true", "false", "true")},
		"All, said so":           {"", many(semantic("execute_all"), no, yes), 200, answers("false", "true")},
		"Until one is denied":    {"", many(semantic("deny_on_first_deny"), yes, no, yes), 200, answers("true", "false")},
		"Until one is permitted": {"", many(semantic("permit_on_first_permit"), no, yes, no), 200, answers("false", "true")},
		"With parts in common": {"", `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"order","id":"orders/eu-1"},` +
			`"evaluations":[{},{"subject":{"type":"user","id":"bob"}},{"resource":{"type":"order","id":"orders/eu-2"}}]}`, 200, answers("true", "false", "true")},
		"Two subjects that look alike": {"what is known of one is not the other's", many("", yes,
			strings.Replace(evaluation("alice", "order", "orders/eu-1", "read"), `"type":"user"`, `"type":"us"`, 1)), 200, answers("true", "false")},
		"None, but one in common": {"it is one question", yes, 200, `{"decision":true}`},
		"An empty list":           {"", yes[:len(yes)-1] + `,"evaluations":[]}`, 200, `{"decision":true}`},
		"256":                     {"", many("", slices.Repeat([]string{yes}, 256)...), 200, answers(slices.Repeat([]string{"true"}, 256)...)},
		"257":                     {"", many("", slices.Repeat([]string{yes}, 257)...), 400, bad("there must be at most 256 evaluations")},
		"Nothing":                 {"", `{}`, 400, bad("subject must have type and id")},
		"One without an action":   {"", many("", yes, `{"subject":{"type":"user","id":"alice"},"resource":{"type":"order","id":"x"}}`), 400, bad("action must have a name")},
		"One without a resource":  {"", many("", `{"subject":{"type":"user","id":"alice"},"action":{"name":"x"}}`), 400, bad("resource must have type and id")},
		"An unknown semantic":     {"", many(semantic("any"), yes), 400, bad("options.evaluations_semantic must be execute_all, deny_on_first_deny or permit_on_first_permit")},
		"A long name":             {"", many("", evaluation(strings.Repeat("a", 513), "order", "x", "read")), 400, bad("what a question names must have at most 512 bytes")},
		"A text":                  {"", `"x"`, 400, bad("the body is not JSON of the form that is expected here")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w.json(t, http.MethodPost, "/access/v1/evaluations", pat, tc.body).is(t, tc.reason, tc.status, tc.want)
		})
	}
}

// TestAnEvaluationKeepsItsName returns the id that a client gives, unless it could break a line.
func TestAnEvaluationKeepsItsName(t *testing.T) {
	w, pat := startAuthZEN(t)
	for id, kept := range map[string]bool{"bfe9eb29-ab87-4ca3-be83-a1d5d8305716": true, "": false, "a b": false, strings.Repeat("x", 129): false} {
		request, err := http.NewRequest(http.MethodPost, w.url+"/access/v1/evaluation", strings.NewReader(evaluation("alice", "order", "orders/eu-1", "read")))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+pat)
		request.Header.Set("X-Request-ID", id)
		if got := w.do(t, request).header.Get("X-Request-ID"); (got == id) != kept || got == "" {
			t.Errorf("%q became %q", id, got)
		}
	}
}

func TestMetadataOfTheDecisionPoint(t *testing.T) {
	w, _ := startAuthZEN(t)
	answer := w.json(t, http.MethodGet, "/.well-known/authzen-configuration", "", "")
	want := map[string]any{
		"policy_decision_point": issuerName, "access_evaluation_endpoint": issuerName + "/access/v1/evaluation",
		"access_evaluations_endpoint": issuerName + "/access/v1/evaluations",
	}
	if diff := cmp.Diff(want, fields(t, answer.body)); diff != "" || answer.status != http.StatusOK {
		t.Errorf("%d (-want +got):\n%s", answer.status, diff)
	}
}

// TestWithoutAClusterNothingIsRegistered: reading works, and what would have to be stored says so.
func TestWithoutAClusterNothingIsRegistered(t *testing.T) {
	w := startUMA(t, func(options *Options, _ *Parts, _ *snapshot.Input) { options.Manifests = []string{"manifests"} })
	pat := w.aat(t, "rs", "rs-secret", api, "uma_protection")
	w.json(t, http.MethodGet, "/authz/protection/resource_set?type=album", pat, "").is(t, "a list", 200, `["beach"]`)
	w.json(t, http.MethodGet, "/authz/protection/resource_set/orders%2Feu-2", pat, "").
		is(t, "one", 200, `{"_id":"orders/eu-2","name":"Order 2","ownerManagedAccess":false,"resource_scopes":["read"],"type":"order","uris":[]}`)
	lacks := problemOf("not_supported", "this server runs without a cluster, and stores nothing")
	w.json(t, http.MethodPost, "/authz/protection/resource_set", pat, `{"name":"x","resource_scopes":["y"]}`).is(t, "a registration", 400, lacks)
	w.json(t, http.MethodPut, "/authz/protection/resource_set/beach", pat, `{"name":"x","resource_scopes":["y"]}`).is(t, "a change", 400, lacks)
	w.json(t, http.MethodDelete, "/authz/protection/resource_set/beach", pat, "").is(t, "a deletion", 400, lacks)
	w.json(t, http.MethodGet, "/authz/protection/permission/ticket", pat, "").is(t, "requests", 400, lacks)
	w.json(t, http.MethodPost, "/authz/protection/permission", pat, `{"resource_id":"beach"}`).
		is(t, "a ticket", 400, problemOf("invalid_request", "this server runs without a cluster, and has no permission tickets: ask with audience and permission"))
	document := fields(t, w.json(t, http.MethodGet, "/.well-known/uma2-configuration", "", "").body)
	if document["permission_endpoint"] != nil || document["resource_registration_endpoint"] != nil {
		t.Errorf("it names what it does not serve: %v", document)
	}
}
