package tokenserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// The defects of Provide Ident that the design lists, each shown to be absent. That the key's algorithm and fingerprint, pages,
// and revocation by administrators are as they should be is in ident_test.go.

// TestIdentDefectBearers: a bearer was checked for its signature only. It must be ours, for this API, of the right kind, alive
// and not revoked; and a refresh token is none.
func TestIdentDefectBearers(t *testing.T) {
	w := startIdent(t, v1alpha1.ES256, nil)
	good := w.bearer(t, "alice", "secret")
	refresh := field(t, w.login(t, "alice", "secret", "offline_access"), "refresh_token")
	change := func(typ, audience string, change func(map[string]any)) string {
		return w.sign(t, typ, audience, change)
	}
	unforged, cases := w.forged(t, provide)
	maps.Copy(cases, map[string]string{
		"for another, by its key":    change(token.TypeAccess, api, nil),
		"of another issuer":          change(token.TypeAccess, provide, func(c map[string]any) { c["iss"] = "https://ident.provide.services" }),
		"signed by another's key":    w.signWith(t, api, map[string]any{"iss": issuerName, "sub": "alice", "aud": provide}),
		"not good yet":               change(token.TypeAccess, provide, func(c map[string]any) { c["nbf"] = time.Now().Unix() + 600 }),
		"without end and record":     change(token.TypeAccess, provide, func(c map[string]any) { delete(c, "exp") }),
		"with a record that is none": change(token.TypeAccess, provide, func(c map[string]any) { c["jti"] = "0-1-abcdefghijklmnopqrstuvwxyz" }),
		"of a user who is gone":      change(token.TypeAccess, provide, func(c map[string]any) { c["sub"] = "mallory" }),
		"of a registry":              change(token.TypeRegistry, provide, nil),
		"a status list":              change("statuslist+jwt", provide, nil),
		"a refresh token":            refresh,
		"with another's signature":   good[:len(good)-6] + "AAAAAA",
		"junk":                       "a.b.c",
	})
	for name, bearer := range map[string]string{"of a login": good, "signed by the API's key": unforged} {
		if answer := w.json(t, http.MethodGet, "/api/v1/tokens", bearer, ""); answer.status != http.StatusOK {
			t.Fatalf("the one %s is not forged: %d %s", name, answer.status, answer.body)
		}
		w.authorize(t, bearer, `{}`)
	}
	for name, bearer := range cases {
		t.Run(name, func(t *testing.T) {
			for _, ask := range [][3]string{
				{"GET", "/api/v1/tokens", ""}, {"POST", "/api/v1/tokens", `{}`}, {"DELETE", "/api/v1/tokens/0-1-abcdefghijklmnopqrstuvwxyz", ""},
			} {
				w.json(t, ask[0], ask[1], bearer, ask[2]).is(t, ask[0], 401, refusedToken)
			}
			if bearer != refresh {
				w.json(t, http.MethodPost, "/api/v1/tokens", bearer, `{"grant_type":"refresh_token"}`).
					is(t, "as a refresh token", 401, message("the refresh token was not accepted"))
			}
		})
	}
	w.revokeSubject(t, "alice", time.Now())
	w.json(t, http.MethodGet, "/api/v1/tokens", good, "").is(t, "everything of the user was revoked", 401, refusedToken)
}

// TestIdentDefectRefresh: any access token worked in the refresh grant.
func TestIdentDefectRefresh(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	for name, text := range map[string]string{
		"an access token":                 w.bearer(t, "alice", "secret"),
		"a refresh token of a registry":   w.refreshToken(t, service),
		"a refresh token that was forged": "twr_0-1-abcdefghijklmnopqrstuvwxyz." + strings.Repeat("a", 43) + "." + strings.Repeat("a", 43),
	} {
		t.Run(name, func(t *testing.T) {
			w.json(t, http.MethodPost, "/api/v1/tokens", text, `{"grant_type":"refresh_token"}`).
				is(t, "", 401, message("the refresh token was not accepted"))
		})
	}
}

// TestIdentDefectIds: who asked chose for whom. The ids must be what policies say of the caller.
func TestIdentDefectIds(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	alice, bob := w.bearer(t, "alice", "secret"), w.bearer(t, "bob", "hunter2")
	for name, c := range map[string]struct{ bearer, body string }{
		"another's user":            {bob, `{"user_id":"u-1"}`},
		"another user":              {alice, `{"user_id":"u-2"}`},
		"another's application":     {bob, `{"application_id":"app-1","scope":"offline_access"}`},
		"another application":       {alice, `{"application_id":"app-2","scope":"offline_access"}`},
		"an organization":           {alice, `{"organization_id":"o-1"}`},
		"one that is and one not":   {alice, `{"application_id":"app-1","user_id":"u-2","scope":"offline_access"}`},
		"an application, for ever":  {bob, `{"application_id":"app-1"}`},
		"another one, and for ever": {alice, `{"application_id":"app-2"}`},
	} {
		t.Run(name, func(t *testing.T) {
			calls := w.objects.Calls()
			w.json(t, http.MethodPost, "/api/v1/tokens", c.bearer, c.body).is(t, "", 403, message("forbidden"))
			if w.objects.Calls() != calls {
				t.Error("something was stored")
			}
		})
	}
	w.authorize(t, alice, `{"application_id":"app-1","user_id":"u-1","scope":"offline_access"}`)
}

// TestIdentDefectCodes: an authorization code was a token without an expiry. There are no codes.
func TestIdentDefectCodes(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	for _, bearer := range []string{"", w.bearer(t, "alice", "secret")} {
		w.json(t, http.MethodGet, "/api/v1/oauth/authorize?response_type=code", bearer, "").
			is(t, "nothing is there", 404, problemOf("not_found", "there is nothing here"))
	}
}

// TestIdentDefectRawTokens: tokens were stored and listed. The audit log and the records have none.
func TestIdentDefectRawTokens(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	login := w.login(t, "alice", "secret", "offline_access")
	bearer := field(t, login, "access_token")
	lasting := field(t, w.authorize(t, bearer, `{"scope":"non_expiring"}`), "access_token")
	w.json(t, http.MethodDelete, "/api/v1/tokens/"+field(t, login, "id"), bearer, "").is(t, "", 204, "")
	lines, err := os.ReadFile(w.auditFile)
	if err != nil {
		t.Fatal(err)
	}
	refresh := strings.Split(field(t, login, "refresh_token"), ".")
	seen := string(lines)
	for _, object := range w.objects.Tokens() {
		seen += fmt.Sprintf("%+v", object)
	}
	for name, secret := range map[string]string{
		"the bearer": strings.Split(bearer, ".")[2], "the one without end": strings.Split(lasting, ".")[2], "the refresh token": refresh[1],
		"its seal": refresh[2], "the password": `"secret"`,
	} {
		if strings.Contains(seen, secret) {
			t.Errorf("%s is written down", name)
		}
	}
	if n := strings.Count(seen, field(t, login, "id")); n != 3 { // issued, come for another one, and revoked
		t.Errorf("the id is written down %d times", n)
	}
}

// TestIdentDefectEmptyToken: where the NATS claims could not be made there was a token all the same, an empty one.
func TestIdentDefectEmptyToken(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, func(_ *Options, _ *Parts, input *snapshot.Input) {
		policies := oauthPolicies()
		for i := range 300 {
			policies = append(policies, fixture.Cluster(fmt.Sprintf("many-%d", i), users("alice"), typed("nats", v1alpha1.ResourceName(fmt.Sprintf("a.%d", i)), "publish"), nil))
		}
		input.Policies = fixture.Policies(t, policies...)
	})
	w.json(t, http.MethodPost, "/api/v1/authenticate", "", `{"email":"alice","password":"secret","scope":"nats"}`).
		is(t, "", 422, message("the token would be longer than 7 KiB: ask for fewer scopes"))
	if _, claims := says(t, w.bearer(t, "alice", "secret")); claims["nats"] != nil {
		t.Errorf("nobody asked for %v", claims["nats"])
	}
	_, claims := says(t, field(t, w.login(t, "bob", "hunter2", "nats"), "access_token"))
	want := `map[permissions:map[publish:map[deny:[>]] subscribe:map[deny:[>]]]]`
	if got := fmt.Sprint(claims["nats"]); got != want {
		t.Errorf("of whom no policy speaks: got %s", got)
	}
}

// TestIdentDoesNotGrowRights: what comes from a token has no more than it and lasts no longer, unless the password was proved a
// moment ago and is the same. Nothing that came from a token can be made to last.
func TestIdentDoesNotGrowRights(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	derived := field(t, w.authorize(t, w.bearer(t, "alice", "secret"), `{"scope":"order:eu/1:read"}`), "access_token")
	const tooOld = "a token without an expiry needs a password that was proved within five minutes"
	for name, bearer := range map[string]string{
		"what came from a token":     derived,
		"a password of 301 s before": w.provedAgo(t, "alice", "secret", 301*time.Second),
		"somebody else's password": w.sign(t, token.TypeAccess, provide, func(c map[string]any) {
			_, bob := says(t, w.bearer(t, "bob", "hunter2"))
			c["tokenwright.dev/credential"], c["auth_time"] = bob["tokenwright.dev/credential"], time.Now().Unix()
		}),
		"the digest of a record": w.sign(t, token.TypeAccess, provide, func(c map[string]any) {
			w.login(t, "alice", "secret", "offline_access")
			c["tokenwright.dev/credential"], c["auth_time"] = w.objects.Tokens()[0].Spec.Credential, time.Now().Unix()
		}),
		"a claim without a password": w.sign(t, token.TypeAccess, provide, func(c map[string]any) { c["auth_time"] = time.Now().Unix() }),
	} {
		t.Run(name, func(t *testing.T) {
			w.json(t, http.MethodPost, "/api/v1/tokens", bearer, `{"scope":"non_expiring"}`).is(t, "", 403, message(tooOld))
			_, first := says(t, bearer)
			got := w.authorize(t, bearer, `{"scope":"offline_access nats order:eu/1:read,write order:eu/2:read order:1:read,write"}`)
			_, second := says(t, field(t, got, "access_token"))
			has, _ := got["scope"].(string)
			if got["refresh_token"] != nil || second["nats"] != nil || has != first["scope"] || second["scope"] != first["scope"] {
				t.Errorf("got %v with %v from %v", got, second, first)
			}
			if ends := number(t, first, "exp"); number(t, second, "exp") > ends || number(t, got, "expires_in") > ends-number(t, second, "iat") {
				t.Errorf("it ends at %v, in %v s, and came from one that ends at %d", second["exp"], got["expires_in"], ends)
			}
		})
	}
	young := w.provedAgo(t, "alice", "secret", 290*time.Second)
	if got := w.authorize(t, young, `{"scope":"offline_access"}`); got["refresh_token"] == nil {
		t.Errorf("got %v", got)
	}
	w.replace(func(input *snapshot.Input) {
		input.Providers = []*provider.Provider{fixture.Htpasswd(t, map[string]string{"alice": "another"})}
	})
	w.json(t, http.MethodPost, "/api/v1/tokens", young, `{"scope":"non_expiring"}`).is(t, "the password is another one now", 403, message(tooOld))
}

// TestIdentOtherAudiences: a token of another audience is an exchange, which policy must allow.
func TestIdentOtherAudiences(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	got := w.authorize(t, w.bearer(t, "alice", "secret"), `{"aud":"`+api+`","scope":"order:eu/1:read"}`)
	if _, claims := says(t, field(t, got, "access_token")); claims["aud"] != api || claims["scope"] != "order:eu/1:read" {
		t.Errorf("claims %v", claims)
	}
	w.json(t, http.MethodPost, "/api/v1/tokens", w.bearer(t, "bob", "hunter2"), `{"aud":"`+api+`"}`).
		is(t, "", 403, message("no policy lets the caller exchange a token for one of this audience"))
}

// number returns a whole number.
func number(t testing.TB, of map[string]any, name string) int64 {
	t.Helper()
	text, _ := of[name].(json.Number)
	n, err := text.Int64()
	if err != nil {
		t.Fatalf("%s in %v: %v", name, of, err)
	}
	return n
}

// signWith signs with the key of another audience.
func (w *oauthWorld) signWith(t testing.TB, audience string, claims map[string]any) string {
	t.Helper()
	now := time.Now().Unix()
	claims["iat"], claims["nbf"], claims["exp"], claims["jti"] = now, now, now+600, "abcdefghijklmnopqrstuvwxyz"
	text, err := w.snapshots.Load().Audiences[audience].Signer.Sign(token.TypeAccess, rawClaims(claims))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
