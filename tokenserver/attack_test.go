package tokenserver

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// TestAttacks is what somebody would try who has bob's password, or none, and wants what alice or the platform has.
func TestAttacks(t *testing.T) {
	r := start(t, nil)
	type want struct {
		Status  int
		Subject string
		Granted []string
	}
	nobody := want{200, "", []string{}}
	bob := want{200, "bob", []string{}}
	scoped := func(change url.Values) url.Values {
		values := asking("repository:team-a/app:pull,push")
		for name, list := range change {
			values[name] = list
		}
		return values
	}
	cases := map[string]struct {
		reason         string
		user, password string
		query          url.Values
		want           want
	}{
		"Another's name as account":             {"account is a claim of the client", "", "", scoped(url.Values{"account": {"alice"}}), nobody},
		"Another's name as account, with login": {"the login counts", "bob", "hunter2", scoped(url.Values{"account": {"alice"}}), bob},
		"Another's name as client id":           {"client_id is a claim of the client", "", "", scoped(url.Values{"client_id": {"alice"}}), nobody},
		"A group as client id":                  {"client_id is a claim of the client", "bob", "hunter2", scoped(url.Values{"client_id": {"system:masters"}}), bob},
		"Another's name in the query":           {"credentials are not taken from the query", "", "", scoped(url.Values{"username": {"alice"}, "password": {"secret"}}), nobody},
		"Another's name with an empty password": {"an empty password is one, and wrong", "alice", "", scoped(nil), want{Status: 401}},
		"Another's password":                    {"each has his own", "bob", "secret", scoped(nil), want{Status: 401}},
		"The anonymous user's name":             {"nobody proves to be nobody", "system:anonymous", "x", scoped(nil), want{Status: 401}},
		"A ServiceAccount's name":               {"such names come from the API server only", "system:serviceaccount:team-a:ci", "x", scoped(nil), want{Status: 401}},
		"A name in another letter case":         {"names are compared as they are", "Alice", "secret", scoped(nil), want{Status: 401}},
		"A name with a blank":                   {"names are compared as they are", "alice ", "secret", scoped(nil), want{Status: 401}},
		"A name with a NUL":                     {"names are compared as they are", "alice\x00", "secret", scoped(nil), want{Status: 401}},
		"A name that is nearly UTF-8":           {"it must not become another on its way", "alice\xff", "secret", scoped(nil), want{Status: 401}},
		"A line break in a scope": {
			"a line break separates nothing that a policy would not see", "bob", "hunter2",
			asking("repository:public/app:pull\r\nrepository:team-a/app:pull,push"),
			want{200, "bob", []string{"repository:public/app:pull"}},
		},
		"A quote in a name": {
			"claims are encoded, not pasted", "bob", "hunter2",
			asking(`repository:public/a","actions":["push"]},{"type":"repository","name":"team-a/app:pull`), bob,
		},
		"Dots in a path":            {"nothing is called so", "bob", "hunter2", asking("repository:public/../team-a/app:pull,push"), bob},
		"An encoded slash":          {"names are not decoded twice", "bob", "hunter2", asking("repository:team-a%2Fapp:push"), bob},
		"A NUL in a name":           {"names are not cut off", "bob", "hunter2", asking("repository:team-a/app\x00:push"), bob},
		"A name that is not UTF-8":  {"it would become another name in JSON", "bob", "hunter2", asking("repository:public/\xff:pull"), bob},
		"A full-width letter":       {"names are not normalised", "bob", "hunter2", asking("repository:public/\uff41:pull"), bob},
		"Two slashes":               {"an empty segment is not a segment", "alice", "secret", asking("repository:team-a//app:push"), want{200, "alice", []string{}}},
		"A leading slash":           {"an empty segment is not a segment", "alice", "secret", asking("repository:/team-a/app:push"), want{200, "alice", []string{}}},
		"Another's repository":      {"nobody granted it", "alice", "secret", asking("repository:team-b/app:push"), want{200, "alice", []string{}}},
		"A neighbour by prefix":     {"team-a is a segment, not a prefix", "alice", "secret", asking("repository:team-a-secret/app:pull"), want{200, "alice", []string{}}},
		"The catalog":               {"nobody granted it", "alice", "secret", asking("registry:catalog:*"), want{200, "alice", []string{}}},
		"The server's own actions":  {"nobody granted them", "alice", "secret", asking("oauth:" + service + ":introspect,exchange,revoke"), want{200, "alice", []string{}}},
		"A repository under a port": {"a host before a name makes another name", "alice", "secret", asking("repository:localhost:5000/team-a/app:push"), want{200, "alice", []string{}}},
		"Actions joined by a star":  {"a star stands for what is granted, not for all", "alice", "secret", asking("repository:team-a/app:*,delete"), want{200, "alice", []string{"repository:team-a/app:pull,push"}}},
		"An offline token":          {"no policy allows one, and asking changes nothing", "alice", "secret", scoped(url.Values{"offline_token": {"true"}, "access_type": {"offline"}}), want{200, "alice", []string{"repository:team-a/app:pull,push"}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer := r.get(t, tc.user, tc.password, tc.query)
			got := want{Status: answer.status}
			if answer.status == http.StatusOK {
				claims := r.claims(t, answer)
				got.Subject, got.Granted = claims.Subject, granted(claims.Access)
			}
			if strings.Contains(string(answer.body), "refresh_token") {
				t.Errorf("a refresh token was given out: %s", answer.body)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", tc.reason, diff, answer.body[:min(len(answer.body), 200)])
			}
		})
	}
	log := readFile(t, r.auditFile)
	if strings.Contains(log, "hunter2") || strings.Contains(log, "eyJ") {
		t.Error("the audit log holds a password or a token")
	}
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, `{"time":`) {
			t.Errorf("a client began a line of its own: %s", line)
		}
	}
}

// A policy that goes by the client id would be open to everybody who knows the id.
func TestAPolicyIsNotToldWhatTheClientCallsItself(t *testing.T) {
	r := start(t, func(_ *Options, parts *Parts) {
		policies := fixture.Policies(t, fixture.Cluster("ci", []v1alpha1.Subject{fixture.Anonymous}, fixture.Repositories("**", "pull"),
			func(spec *v1alpha1.ClusterAccessPolicySpec) {
				spec.When = &v1alpha1.When{Expression: "request.clientID == 'ci'"}
			}))
		parts.Snapshots.Store(snapshot.Build(snapshot.Input{
			Policies: policies, At: parts.Snapshots.Load().BuiltAt, Providers: []*provider.Provider{},
			Keys: []snapshot.Keys{fixture.Key(t, "registry", v1alpha1.KeyID, parts.Snapshots.Load().BuiltAt, service)},
		}))
	})
	query := asking("repository:x:pull")
	query.Set("client_id", "ci")
	if got := granted(r.claims(t, r.get(t, "", "", query)).Access); len(got) > 0 {
		t.Errorf("granted %v", got)
	}
}
