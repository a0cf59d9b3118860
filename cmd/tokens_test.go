package cmd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/revocation"
)

// Ids of recorded tokens.
const (
	aliceToken  = "0-1-aaaaaaaaaaaaaaaaaaaaaaaaaa"
	aliceOld    = "0-2-bbbbbbbbbbbbbbbbbbbbbbbbbb"
	bobToken    = "0-3-cccccccccccccccccccccccccc"
	bobsRevoked = "0-4-dddddddddddddddddddddddddd"
	bobsLong    = "0-5-eeeeeeeeeeeeeeeeeeeeeeeeee"
	bobsHidden  = "0-6-ffffffffffffffffffffffffff"
)

// testTokens lists and revokes, with the rights of the ClusterRoles.
func (b *keysBench) testTokens(t *testing.T) {
	b.issued(t, aliceToken, "alice", 48*time.Hour)
	b.issued(t, aliceOld, "alice", -time.Minute)
	b.issued(t, bobToken, "bob", time.Hour)
	b.issued(t, bobsRevoked, "bob", time.Hour)

	t.Run("revoke", func(t *testing.T) {
		id := bobsRevoked
		got := b.tokens(t, "tokens", "revoke", id, "--reason", "laptop lost")
		if diff := cmp.Diff("Token "+id+": revoked by TokenRevocation token-"+id+"\n", got.Stdout); diff != "" {
			t.Errorf("(-want +got):\n%s%s", diff, got.Stderr)
		}
		revoked := b.revocation(t, "token-"+id)
		if revoked.Spec.Reason != "laptop lost" || revoked.Spec.Expires != b.recordOf(t, id).Spec.Expires {
			t.Errorf("got %+v", revoked.Spec)
		}
		again := b.tokens(t, "tokens", "revoke", id)
		if diff := cmp.Diff("Token "+id+": revoked already by TokenRevocation token-"+id+"\n", again.Stdout); diff != "" {
			t.Errorf("again (-want +got):\n%s%s", diff, again.Stderr)
		}
	})
	t.Run("revoke a token that somebody has revoked for too short a time", func(t *testing.T) {
		b.issued(t, bobsLong, "bob", 48*time.Hour)
		b.create(t, &v1alpha1.TokenRevocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: unmanaged, Name: "token-" + bobsLong},
			Spec:       v1alpha1.TokenRevocationSpec{Token: &v1alpha1.RevokedToken{ID: bobsLong}, Expires: v1alpha1.NewDateTime(time.Now().Add(time.Hour))},
		})
		longer := fmt.Sprintf("token-%s-%d", bobsLong, revocation.Time(b.recordOf(t, bobsLong).Spec.Expires).Unix())
		for _, want := range []string{": revoked by ", ": revoked already by "} {
			if diff := cmp.Diff("Token "+bobsLong+want+"TokenRevocation "+longer+"\n", b.tokens(t, "tokens", "revoke", bobsLong).Stdout); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		if got, want := b.revocation(t, longer).Spec.Expires, b.recordOf(t, bobsLong).Spec.Expires; got != want {
			t.Errorf("it is remembered until %s, and the token lives until %s", got, want)
		}
	})
	t.Run("revoke a token whose names are taken", func(t *testing.T) {
		// Who may make TokenRevocations could hide a token behind its name.
		b.issued(t, bobsHidden, "bob", time.Hour)
		names, err := revocation.Names(v1alpha1.TokenRevocationSpec{
			Token: &v1alpha1.RevokedToken{ID: bobsHidden}, Expires: b.recordOf(t, bobsHidden).Spec.Expires,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b.create(t, &v1alpha1.TokenRevocation{
				ObjectMeta: metav1.ObjectMeta{Namespace: unmanaged, Name: name},
				Spec:       v1alpha1.TokenRevocationSpec{Token: &v1alpha1.RevokedToken{ID: "another"}},
			})
		}
		got := b.run(t, "tokens", "revoke", bobsHidden, "-n", unmanaged)
		if want := "error: TokenRevocations " + names[0] + " and " + names[1] + ` of namespace "unmanaged" are there, and revoke something else`; got.Status != 1 || !strings.HasPrefix(got.Stderr, want) {
			t.Errorf("status %d, said %q", got.Status, got.Stderr)
		}
	})
	t.Run("revoke a token that is not recorded", func(t *testing.T) {
		const id = "mfrggzdfmztwq2lknnwg23tpoa"
		b.tokens(t, "tokens", "revoke", id)
		expires, err := b.revocation(t, "token-"+id).Spec.Expires.Parse()
		if left := time.Until(expires); err != nil || left < 24*time.Hour || left > 26*time.Hour {
			t.Errorf("remembered for %s: %v", left, err)
		}
	})
	t.Run("list", func(t *testing.T) {
		cases := map[string]struct {
			args []string
			want map[string]string
		}{
			"what is good":     {nil, map[string]string{aliceToken: tokenLive, bobToken: tokenLive, bobsHidden: tokenLive}},
			"all":              {[]string{"--all"}, map[string]string{aliceToken: tokenLive, aliceOld: tokenExpired, bobToken: tokenLive, bobsRevoked: tokenRevoked, bobsLong: tokenRevoked, bobsHidden: tokenLive}},
			"of one user":      {[]string{"--all", "--subject=alice"}, map[string]string{aliceToken: tokenLive, aliceOld: tokenExpired}},
			"of nobody":        {[]string{"--subject=carol"}, map[string]string{}},
			"for one audience": {[]string{"--audience=other.example.com"}, map[string]string{}},
			"of one client":    {[]string{"--client=docker", "--subject=bob"}, map[string]string{bobToken: tokenLive, bobsHidden: tokenLive}},
			"as a viewer":      {[]string{"--context", asViewer}, map[string]string{aliceToken: tokenLive, bobToken: tokenLive, bobsHidden: tokenLive}},
		}
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				answer := b.tokens(t, append([]string{"tokens", "list", "-n", unmanaged, "-o", "json"}, tc.args...)...)
				var entries []tokenEntry
				if err := json.Unmarshal([]byte(answer.Stdout), &entries); err != nil {
					t.Fatalf("%v: %s%s", err, answer.Stdout, answer.Stderr)
				}
				got := map[string]string{}
				for _, e := range entries {
					got[e.ID] = e.State
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
		table := b.tokens(t, "tokens", "list", "--subject=alice").Stdout
		if lines := strings.Split(table, "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "ID ") || !strings.HasPrefix(lines[1], aliceToken+"   alice     RefreshToken") {
			t.Errorf("the table is\n%s", table)
		}
	})
	t.Run("revoke a subject", func(t *testing.T) {
		at := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
		got := b.tokens(t, "revoke", "--subject=alice", "--audience=registry.example.com", "--before="+at)
		if !strings.HasPrefix(got.Stdout, "All tokens that alice got until "+at+" for registry.example.com: revoked by TokenRevocation subject-") {
			t.Errorf("said %s%s", got.Stdout, got.Stderr)
		}
		if list := b.tokens(t, "tokens", "list", "--subject=alice", "-o", "name").Stdout; strings.TrimSpace(list) != aliceToken {
			t.Errorf("what came later is revoked: %q", list)
		}
		b.tokens(t, "revoke", "--subject=alice", "--before=now")
		if list := b.tokens(t, "tokens", "list", "--subject=alice", "-o", "name").Stdout; list != "" {
			t.Errorf("still good: %q", list)
		}
	})
	t.Run("errors", b.testTokensErrors)
}

func (b *keysBench) testTokensErrors(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string
	}{
		"a time that is none":       {[]string{"revoke", "--subject=alice", "--before=yesterday"}, `error: --before must be now, or a time of RFC 3339 such as 2026-11-26T08:00:00Z, not "yesterday"`},
		"a time ahead":              {[]string{"revoke", "--subject=alice", "--before=2999-01-01T00:00:00Z"}, "error: --before must not be ahead: until 2999-01-01T00:00:00Z the user could get no token at all"},
		"no time":                   {[]string{"revoke", "--subject=alice"}, `error: required flag(s) "before" not set`},
		"an empty subject":          {[]string{"revoke", "--subject=", "--before=now"}, "error: --subject must name a user"},
		"no id":                     {[]string{"tokens", "revoke"}, "error: requires at least 1 arg(s), only received 0"},
		"an output that is none":    {[]string{"tokens", "list", "-o", "xml"}, `error: --output must be table, name, json or yaml, not "xml"`},
		"an id that is none":        {[]string{"tokens", "revoke", "../x"}, "error: "},
		"a viewer who would revoke": {[]string{"tokens", "revoke", "x", "-n", unmanaged, "--context", asViewer}, `error: you need the right to create tokenrevocations of tokenwright.dev in namespace "unmanaged", which ClusterRole "tokenwright-platform-admin" gives`},
		"nobody who would list":     {[]string{"tokens", "list", "--context", asNobody}, `error: you need the right to list issuedtokens of tokenwright.dev in namespace "tokenwright-system", which ClusterRole "tokenwright-platform-viewer" gives`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := b.run(t, tc.args...)
			if got.Status != 1 || !strings.HasPrefix(got.Stderr, tc.want) {
				t.Errorf("status %d, said %q", got.Status, got.Stderr)
			}
		})
	}
}

// issued creates the record of a refresh token in a namespace that no manager collects in.
func (b *keysBench) issued(t *testing.T, id, user string, left time.Duration) {
	t.Helper()
	b.issuedBy(t, "docker", id, user, left)
}

// issuedBy is issued to a client of another name.
func (b *keysBench) issuedBy(t *testing.T, clientID, id, user string, left time.Duration) {
	t.Helper()
	place, _, _ := strings.Cut(id[2:], "-")
	b.create(t, &v1alpha1.IssuedToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: unmanaged, Name: "token-0-" + place},
		Spec: v1alpha1.IssuedTokenSpec{
			Type: v1alpha1.RefreshToken, ID: id, Subject: v1alpha1.RecordedSubject{Username: user},
			Provider: v1alpha1.RecordedProvider{Name: "people", UID: "u"}, AuthTime: v1alpha1.NewDateTime(time.Now()),
			Audience: "registry.example.com", ClientID: clientID, SecretHash: strings.Repeat("A", 43), Expires: v1alpha1.NewDateTime(time.Now().Add(left)),
		},
	})
}

func (b *keysBench) recordOf(t *testing.T, id string) *v1alpha1.IssuedToken {
	t.Helper()
	place, _, _ := strings.Cut(id[2:], "-")
	var token v1alpha1.IssuedToken
	if err := b.plane.Client.Get(t.Context(), client.ObjectKey{Namespace: unmanaged, Name: "token-0-" + place}, &token); err != nil {
		t.Fatal(err)
	}
	return &token
}

func (b *keysBench) revocation(t *testing.T, name string) *v1alpha1.TokenRevocation {
	t.Helper()
	var r v1alpha1.TokenRevocation
	if err := b.plane.Client.Get(t.Context(), client.ObjectKey{Namespace: unmanaged, Name: name}, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// tokens runs a command that must succeed, in the namespace of the records.
func (b *keysBench) tokens(t *testing.T, args ...string) output {
	t.Helper()
	got := b.run(t, append(args, "-n", unmanaged)...)
	if got.Status != 0 {
		t.Errorf("status %d, said %q", got.Status, got.Stderr)
	}
	return got
}
