package tokenserver

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// These are the types that Provide's Go client decodes answers into: ids are UUIDs, and an answer with another one is an error.
type (
	clientToken struct {
		ID           uuid.UUID  `json:"id"`
		CreatedAt    time.Time  `json:"created_at"`
		AccessToken  *string    `json:"access_token"`
		RefreshToken *string    `json:"refresh_token"`
		Scope        *string    `json:"scope"`
		Audience     *string    `json:"audience"`
		ExpiresAt    *time.Time `json:"expires_at"`
		ExpiresIn    *uint64    `json:"expires_in"`
		Permissions  uint32     `json:"permissions"`
	}
	clientUser struct {
		ID          uuid.UUID      `json:"id"`
		CreatedAt   time.Time      `json:"created_at"`
		Name        string         `json:"name"`
		Email       string         `json:"email"`
		Permissions uint32         `json:"permissions"`
		AgreedAt    *time.Time     `json:"privacy_policy_agreed_at"`
		Metadata    map[string]any `json:"metadata"`
	}
	clientLogin struct {
		User  *clientUser  `json:"user"`
		Token *clientToken `json:"token"`
	}
)

func clientReads[T any](t *testing.T, answer reply, status int) (value T) {
	t.Helper()
	if answer.status != status {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	if err := json.Unmarshal(answer.body, &value); err != nil {
		t.Fatalf("the client cannot read %s: %v", answer.body, err)
	}
	return value
}

// TestProvidesClientReadsTheAnswers has users of both forms log in, make all kinds of tokens, find them listed by their ids, and
// delete them by those.
func TestProvidesClientReadsTheAnswers(t *testing.T) {
	const aliceID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	lasting := func(spec *v1alpha1.ClusterAccessPolicySpec) {
		spec.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "720h", NonExpiring: v1alpha1.Allowed}
	}
	w := startIdent(t, v1alpha1.RS256, func(_ *Options, _ *Parts, input *snapshot.Input) {
		input.Policies = fixture.Policies(t,
			fixture.Cluster("provide-user", users(provideUser), typed("order", "eu/**", "read"), prvd(`{"permissions":415}`)),
			fixture.Cluster("admin", users("admin"), oauthRule(provide, "list"), nil),
			fixture.Cluster("alice", users("alice"), typed("order", "eu/**", "read"), prvd(`{"permissions":415,"user_id":"`+aliceID+`"}`)),
			fixture.Cluster("long", users("alice", provideUser), typed("order", "none", "none"), lasting))
		people := fixture.Htpasswd(t, map[string]string{provideUUID: "hunter2"})
		people.Name, people.UID, people.Prefix = "people", "people", "user:"
		input.Providers = append(input.Providers, people)
	})
	for name, tc := range map[string]struct{ user, password, id string }{
		"whose name has the id":  {provideUser, "hunter2", provideUUID},
		"whose id policies give": {"alice", "secret", aliceID},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"email":"` + tc.user + `","password":"` + tc.password + `","scope":"offline_access"}`
			login := clientReads[clientLogin](t, w.json(t, http.MethodPost, "/api/v1/authenticate", "", body), 201)
			if login.User.ID.String() != tc.id || login.Token.RefreshToken == nil {
				t.Fatalf("user %s", login.User.ID)
			}
			bearer := *login.Token.AccessToken
			refreshed := clientReads[clientToken](t, w.json(t, http.MethodPost, "/api/v1/tokens", *login.Token.RefreshToken, `{"grant_type":"refresh_token"}`), 201)
			forever := clientReads[clientToken](t, w.json(t, http.MethodPost, "/api/v1/tokens", bearer, `{"scope":"non_expiring","user_id":"`+tc.id+`"}`), 201)
			for _, token := range []clientToken{*login.Token, refreshed, forever} {
				if _, claims := says(t, *token.AccessToken); claims["jti"] != token.ID.String() {
					t.Errorf("the token %s says that it is %v", token.ID, claims["jti"])
				}
			}
			list := func() (ids []string) {
				for _, token := range clientReads[[]clientToken](t, w.json(t, http.MethodGet, "/api/v1/tokens?user_id="+tc.id, bearer, ""), 200) {
					if token.CreatedAt.IsZero() || token.ExpiresAt == nil {
						t.Errorf("%+v", token)
					}
					ids = append(ids, token.ID.String())
				}
				return ids
			}
			listed := list()
			if len(listed) != 2 || listed[0] != forever.ID.String() && listed[1] != forever.ID.String() {
				t.Fatalf("listed %q, want the refresh token and %s", listed, forever.ID)
			}
			asked := "/api/v1/tokens?user_id=" + tc.user
			if tc.user == provideUser {
				asked = "/api/v1/tokens?user_id=" + provideUUID
			}
			w.json(t, http.MethodGet, asked, w.bearer(t, "bob", "hunter2"), "").is(t, "somebody else's", 403, message("forbidden"))
			if others := clientReads[[]clientToken](t, w.json(t, http.MethodGet, asked, w.bearer(t, "admin", "adm"), ""), 200); len(others) != 2 {
				t.Errorf("the admin sees %d", len(others))
			}
			for _, id := range listed {
				w.json(t, http.MethodDelete, "/api/v1/tokens/"+id, bearer, "").is(t, "by the id of the list", 204, "")
			}
			if diff := cmp.Diff([]string(nil), list()); diff != "" {
				t.Errorf("after all were deleted (-want +got):\n%s", diff)
			}
			w.json(t, http.MethodGet, "/api/v1/tokens", *forever.AccessToken, "").is(t, "it was deleted", 401, refusedToken)
			w.json(t, http.MethodPost, "/api/v1/tokens", *login.Token.RefreshToken, `{"grant_type":"refresh_token"}`).
				is(t, "it was deleted", 401, message("the refresh token was not accepted"))
		})
	}
}

// TestABareUUIDIsNotTheUserOfIt has two users whose ids are the same for clients: one that is called by the UUID, and user:<uuid>.
func TestABareUUIDIsNotTheUserOfIt(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, func(_ *Options, _ *Parts, input *snapshot.Input) {
		input.Policies = fixture.Policies(t,
			fixture.Cluster("admin", users("admin"), oauthRule(provide, "list"), nil),
			fixture.Cluster("long", users(provideUUID, provideUser), typed("order", "none", "none"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
				spec.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "720h"}
			}))
		people := fixture.Htpasswd(t, map[string]string{provideUUID: "hunter2"})
		people.Name, people.UID, people.Prefix = "people", "people", "user:"
		input.Providers = []*provider.Provider{fixture.Htpasswd(t, map[string]string{provideUUID: "secret", "admin": "adm"}), people}
	})
	count := func(bearer, query string) int {
		return len(clientReads[[]clientToken](t, w.json(t, http.MethodGet, "/api/v1/tokens"+query, bearer, ""), 200))
	}
	bare := w.bearer(t, provideUUID, "secret")
	victim := clientReads[clientLogin](t, w.json(t, http.MethodPost, "/api/v1/authenticate", "",
		`{"email":"`+provideUser+`","password":"hunter2","scope":"offline_access"}`), 201)
	id := clientReads[[]clientToken](t, w.json(t, http.MethodGet, "/api/v1/tokens", *victim.Token.AccessToken, ""), 200)[0].ID.String()
	for _, query := range []string{"", "?user_id=" + provideUUID} {
		if n := count(bare, query); n != 0 {
			t.Errorf("%q: it sees %d tokens of the other", query, n)
		}
	}
	w.json(t, http.MethodGet, "/api/v1/tokens?user_id="+provideUser, bare, "").is(t, "that is somebody else", 403, message("forbidden"))
	w.json(t, http.MethodDelete, "/api/v1/tokens/"+id, bare, "").is(t, "as above", 404, message("token not found"))
	w.json(t, http.MethodPost, "/api/v1/authenticate", "", `{"email":"`+provideUUID+`","password":"secret","scope":"offline_access"}`)
	admin := w.bearer(t, "admin", "adm")
	if n := count(admin, "?user_id="+provideUUID); n != 2 {
		t.Errorf("who may list sees %d tokens of the two, want 2", n)
	}
}
