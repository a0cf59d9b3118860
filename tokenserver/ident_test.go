package tokenserver

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// TestIdentLogin logs in as Provide's clients do, and verifies what comes as Provide's services do: by /.well-known/keys.
func TestIdentLogin(t *testing.T) {
	for _, algorithm := range []v1alpha1.Algorithm{v1alpha1.RS256, v1alpha1.EdDSA} {
		t.Run(string(algorithm), func(t *testing.T) {
			w := startIdent(t, algorithm, nil)
			answer := w.json(t, http.MethodPost, "/api/v1/authenticate", "", `{"email":"alice","password":"secret","scope":"offline_access nats order:eu/1:read","invitation_token":"x"}`)
			got := created(t, answer)
			token, _ := got["token"].(map[string]any)
			text, refresh := field(t, token, "access_token"), field(t, token, "refresh_token")
			if !strings.HasPrefix(refresh, "twr_") {
				t.Errorf("refresh token %q", refresh)
			}
			header, claims := says(t, text)
			want := map[string]any{
				"user": map[string]any{
					"id": "u-1", "created_at": nil, "name": "alice", "first_name": "", "last_name": "", "email": "alice", "permissions": json.Number("415"),
					"privacy_policy_agreed_at": nil, "terms_of_service_agreed_at": nil, "metadata": map[string]any{},
				},
				"token": map[string]any{
					"id": claims["jti"], "access_token": text, "refresh_token": refresh, "expires_in": json.Number("900"),
					"scope": "order:eu/1:read nats offline_access", "permissions": json.Number("415"),
				},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if got := []string{answer.header.Get("Content-Type"), answer.header.Get("Cache-Control")}; !slices.Equal(got, []string{"application/json; charset=UTF-8", "no-store"}) {
				t.Errorf("headers %q", got)
			}
			w.verifyByFingerprint(t, text, header)
			for name, value := range map[string]any{
				"iss": issuerName, "sub": "alice", "aud": provide, "scope": "order:eu/1:read nats",
				"prvd": map[string]any{"permissions": json.Number("415"), "application_id": "app-1", "user_id": "u-1"},
				"nats": map[string]any{"permissions": map[string]any{
					"publish": map[string]any{"allow": []any{"axiom.>"}, "deny": []any{"axiom.secret.>"}}, "subscribe": map[string]any{"allow": []any{"user.alice.>"}},
				}},
			} {
				if diff := cmp.Diff(value, claims[name]); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
		})
	}
}

// verifyByFingerprint finds the key by its MD5 fingerprint in Provide's form of the keys, and verifies with the PEM.
func (w *oauthWorld) verifyByFingerprint(t *testing.T, text string, header map[string]any) {
	t.Helper()
	var list []map[string]string
	if err := json.Unmarshal(w.json(t, http.MethodGet, "/.well-known/keys", "", "").body, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0]["kid"] != header["kid"] || list[0]["fingerprint"] != header["kid"] {
		t.Fatalf("kid %v, keys %v", header["kid"], list)
	}
	block, _ := pem.Decode([]byte(list[0]["public_key"]))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if header["alg"] == "RS256" && (list[0]["e"] != "010001" || len(list[0]["n"]) < 600) {
		t.Errorf("e %q, n %q", list[0]["e"], list[0]["n"])
	}
	algorithm, _ := header["alg"].(string)
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Verify(crypto.PublicKey(public)); err != nil {
		t.Fatal(err)
	}
	if kid, err := keyring.KeyID(public, v1alpha1.SSHFingerprintMD5); err != nil || kid != header["kid"] {
		t.Errorf("kid %v, and the key's fingerprint is %s", header["kid"], kid)
	}
}

// TestIdentBadInput holds each refusal to its status and its body.
func TestIdentBadInput(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	alice, bob := w.bearer(t, "alice", "secret"), w.bearer(t, "bob", "hunter2")
	refresh := field(t, w.login(t, "alice", "secret", "offline_access"), "refresh_token")
	registry := w.registryToken(t, "alice", "secret")
	const authenticate, tokens = "/api/v1/authenticate", "/api/v1/tokens"
	cases := map[string]struct {
		method, path, bearer, body string
		status                     int
		message                    string
	}{
		"no JSON":                     {"POST", authenticate, "", `grant_type=password`, 400, "the body must be a JSON object with texts"},
		"a list":                      {"POST", authenticate, "", `[]`, 400, "the body must be a JSON object with texts"},
		"a number for a name":         {"POST", authenticate, "", `{"email":1,"password":"x"}`, 400, "the body must be a JSON object with texts"},
		"two objects":                 {"POST", authenticate, "", `{"email":"alice","password":"secret"}{}`, 400, "the body must be one JSON object"},
		"no body at all":              {"POST", authenticate, "", ``, 400, "the content type must be application/json"},
		"nobody":                      {"POST", authenticate, "", `{"password":"x"}`, 422, "email or username, and password, must be given"},
		"no password":                 {"POST", authenticate, alice, `{"email":"alice"}`, 422, "email or username, and password, must be given"},
		"two users":                   {"POST", authenticate, "", `{"email":"alice","username":"bob","password":"secret"}`, 422, "email and username must not name two users"},
		"a wrong password":            {"POST", authenticate, "", `{"email":"alice","password":"wrong"}`, 401, "the credentials were not accepted"},
		"an unknown user":             {"POST", authenticate, "", `{"email":"mallory","password":"wrong"}`, 401, "the credentials were not accepted"},
		"a token as password":         {"POST", authenticate, "", `{"email":"alice","password":"` + alice + `"}`, 401, "the credentials were not accepted"},
		"a refresh token as password": {"POST", authenticate, "", `{"email":"alice","password":"` + refresh + `"}`, 401, "the credentials were not accepted"},
		"somebody else's application": {"POST", authenticate, "", `{"email":"bob","password":"hunter2","application_id":"app-1"}`, 403, "forbidden"},
		"conflicting claims":          {"POST", authenticate, "", `{"email":"carol","password":"christmas"}`, 422, "conflicting_claims"},
		"too many scopes":             {"POST", authenticate, "", `{"email":"bob","password":"hunter2","scope":"` + manyScopes() + `"}`, 422, "too many scopes: at most 64 can be asked for at once"},
		"one without end at once":     {"POST", authenticate, "", `{"email":"alice","password":"secret","scope":"non_expiring"}`, 422, "a token without an expiry is asked for with the token that this gives"},
		"GET instead of POST":         {"GET", authenticate, "", ``, 405, "the method is not allowed here"},
		"no bearer":                   {"POST", tokens, "", `{}`, 401, "a bearer token is missing"},
		"another grant":               {"POST", tokens, alice, `{"grant_type":"authorization_code"}`, 422, "invalid grant_type: authorization_code"},
		"a grant that may be a token": {"POST", tokens, alice, `{"grant_type":"` + refresh + `"}`, 422, "invalid grant_type: must be refresh_token, or not given"},
		"a grant of two lines":        {"POST", tokens, alice, `{"grant_type":"x\ny"}`, 422, "invalid grant_type: must be refresh_token, or not given"},
		"a grant that is not served":  {"POST", tokens, alice, `{"grant_type":"client_credentials"}`, 501, "not implemented"},
		"an unknown audience":         {"POST", tokens, alice, `{"aud":"https://nowhere"}`, 400, "invalid aud: https://nowhere"},
		"a token for an audience":     {"POST", tokens, alice, `{"aud":"` + alice + `"}`, 400, "invalid aud: the service is not known here"},
		"bad JSON":                    {"POST", tokens, alice, `{`, 400, "the body must be a JSON object with texts"},
		"two kinds of lasting tokens": {"POST", tokens, alice, `{"scope":"offline_access non_expiring"}`, 422, "a token without an expiry needs no refresh token: ask for one of the two"},
		"without end, without policy": {"POST", tokens, bob, `{"scope":"non_expiring"}`, 403, "a token without an expiry is not allowed here"},
		"a refresh for a refresh":     {"POST", tokens, refresh, `{"grant_type":"refresh_token","scope":"offline_access"}`, 422, "a refresh token gives access tokens of its own audience only"},
		"a refresh for another":       {"POST", tokens, refresh, `{"grant_type":"refresh_token","aud":"` + api + `"}`, 422, "a refresh token gives access tokens of its own audience only"},
		"page 0":                      {"GET", tokens + "?page=0", alice, ``, 400, "page must be a whole number from 1 to 1000000"},
		"a page that is no number":    {"GET", tokens + "?page=x", alice, ``, 400, "page must be a whole number from 1 to 1000000"},
		"a page beyond all":           {"GET", tokens + "?page=9223372036854775807", alice, ``, 400, "page must be a whole number from 1 to 1000000"},
		"a page too long":             {"GET", tokens + "?rpp=1000000000", alice, ``, 400, "rpp must be a whole number from 1 to 100"},
		"a page of 1e9":               {"GET", tokens + "?rpp=1e9", alice, ``, 400, "rpp must be a whole number from 1 to 100"},
		"a page of one too many":      {"GET", tokens + "?rpp=101", alice, ``, 400, "rpp must be a whole number from 1 to 100"},
		"a page of nothing":           {"GET", tokens + "?rpp=0", alice, ``, 400, "rpp must be a whole number from 1 to 100"},
		"a page of less than nothing": {"GET", tokens + "?rpp=-1", alice, ``, 400, "rpp must be a whole number from 1 to 100"},
		"a page before the first":     {"GET", tokens + "?page=-1", alice, ``, 400, "page must be a whole number from 1 to 1000000"},
		"an empty page":               {"GET", tokens + "?page=", alice, ``, 400, "page must be a whole number from 1 to 1000000"},
		"two sizes":                   {"GET", tokens + "?rpp=1&rpp=2", alice, ``, 400, "rpp must be a whole number from 1 to 100"},
		"a refresh token as bearer":   {"POST", tokens, refresh, `{}`, 401, "the token was not accepted"},
		"a list for a refresh token":  {"GET", tokens, refresh, ``, 401, "the token was not accepted"},
		"two pages":                   {"GET", tokens + "?page=1&page=2", alice, ``, 400, "page must be a whole number from 1 to 1000000"},
		"the tokens of another":       {"GET", tokens + "?user_id=alice", bob, ``, 403, "forbidden"},
		"a list for nobody":           {"GET", tokens, "", ``, 401, "a bearer token is missing"},
		"a list for a registry token": {"GET", tokens, registry, ``, 401, "the token was not accepted"},
		"delete what never was":       {"DELETE", tokens + "/0-1-abcdefghijklmnopqrstuvwxyz", alice, ``, 404, "token not found"},
		"delete what cannot be":       {"DELETE", tokens + "/x", alice, ``, 404, "token not found"},
		"delete by nobody":            {"DELETE", tokens + "/x", "", ``, 401, "a bearer token is missing"},
		"a token cannot be looked at": {"GET", tokens + "/x", alice, ``, 405, "the method is not allowed here"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w.json(t, c.method, c.path, c.bearer, c.body).is(t, "", c.status, message(c.message))
		})
	}
}

func manyScopes() string {
	var scopes []string
	for i := range 65 {
		scopes = append(scopes, "order:"+strings.Repeat("x", i+1)+":read")
	}
	return strings.Join(scopes, " ")
}

func TestIdentRefresh(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	refresh := field(t, w.login(t, "alice", "secret", "offline_access"), "refresh_token")
	got := w.authorize(t, refresh, `{"grant_type":"refresh_token","state":"s"}`)
	_, claims := says(t, field(t, got, "access_token"))
	want := map[string]any{
		"id": claims["jti"], "access_token": got["access_token"], "expires_in": json.Number("900"), "state": "s", "permissions": json.Number("415"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if claims["auth_time"] != nil || claims["tokenwright.dev/credential"] != nil {
		t.Errorf("what came by a refresh token says that a password was proved: %v", claims)
	}
	// Who may not have one gets none, and is told by the scope.
	if got := w.login(t, "bob", "hunter2", "offline_access"); got["refresh_token"] != nil || got["scope"] != nil {
		t.Errorf("got %v", got)
	}
	w.objects.Away(true)
	w.json(t, http.MethodPost, "/api/v1/authenticate", "", `{"email":"alice","password":"secret","scope":"offline_access"}`).
		is(t, "nothing is promised that is not stored", 503, message("refresh tokens can be neither stored nor read at present"))
	w.login(t, "alice", "secret", "")
}

// TestIdentPages pages through more tokens than a page has, while one comes.
func TestIdentPages(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	bearer := w.bearer(t, "alice", "secret")
	const first = 27
	end := time.Now().Add(time.Hour)
	made := func(n int) {
		id := slot.ID{Index: n, Random: "abcdefghijklmnopqrstuvwxyz"}
		if err := w.objects.Create(t.Context(), fixture.AccessRecord(id.String(), "alice", provide, end)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range first {
		made(100 + n)
	}
	page := func(query string, total int) (ids []string) {
		answer := w.json(t, http.MethodGet, "/api/v1/tokens"+query, bearer, "")
		var list []map[string]any
		if err := json.Unmarshal(answer.body, &list); err != nil || answer.status != http.StatusOK {
			t.Fatalf("status %d: %s", answer.status, answer.body)
		}
		for _, item := range list {
			ids = append(ids, field(t, item, "id"))
		}
		got := []string{answer.header.Get("X-Total-Results-Count"), answer.header.Get("Access-Control-Expose-Headers")}
		if want := []string{strconv.Itoa(total), "X-Total-Results-Count"}; !slices.Equal(got, want) {
			t.Errorf("%s: headers %q, want %q", query, got, want)
		}
		return ids
	}
	all := page("?rpp=100", first)
	if byDefault := page("", first); len(all) != first || !slices.Equal(byDefault, all[:25]) {
		t.Fatalf("%d in all, and unasked %d", len(all), len(byDefault))
	}
	paged := page("?rpp=10", first)
	// Within a second tokens are sorted by name, and this one's is before all others.
	second := time.Now().Unix()
	waitFor(t, "the next second", func() bool { return time.Now().Unix() > second })
	made(1)
	all = append(all, "0-1-abcdefghijklmnopqrstuvwxyz")
	for _, query := range []string{"?page=2&rpp=10", "?page=3&rpp=10"} {
		paged = append(paged, page(query, first+1)...)
	}
	if diff := cmp.Diff(all, paged); diff != "" {
		t.Errorf("pages and the whole differ: %s", diff)
	}
	for _, query := range []string{"?page=4&rpp=10", "?page=1000000&rpp=100"} {
		w.json(t, http.MethodGet, "/api/v1/tokens"+query, bearer, "").is(t, "there are no more", 200, "[]")
		page(query, first+1)
	}
}

// TestIdentList holds what is said of a token: of a login by Docker's protocol, and of one that was used. Never the token.
func TestIdentList(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	bearer := w.bearer(t, "alice", "secret")
	tokens := []string{w.refreshToken(t, service), field(t, w.authorize(t, bearer, `{"scope":"offline_access"}`), "refresh_token")}
	used := fixture.AccessRecord("0-7-abcdefghijklmnopqrstuvwxyz", "alice", provide, time.Now().Add(time.Hour))
	used.Spec.Type, used.Status.LastUsed = v1alpha1.RefreshToken, "2026-11-26T15:52:45Z"
	if err := w.objects.Create(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]any{}
	for _, record := range w.objects.Tokens() {
		want[record.Spec.ID] = map[string]any{
			"id": record.Spec.ID, "type": "RefreshToken", "user_id": "alice", "aud": provide,
			"created_at": record.CreationTimestamp.UTC().Format(time.RFC3339), "expires_at": string(record.Spec.Expires),
		}
		switch {
		case record.Spec.ID == used.Spec.ID:
			want[record.Spec.ID]["last_used_at"] = "2026-11-26T15:52:45Z"
		case record.Spec.Audience == service:
			want[record.Spec.ID]["aud"], want[record.Spec.ID]["client_id"] = service, "cli"
		}
	}
	answer := w.json(t, http.MethodGet, "/api/v1/tokens", bearer, "")
	var list []map[string]any
	if err := json.Unmarshal(answer.body, &list); err != nil || answer.status != http.StatusOK {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	got := map[string]map[string]any{}
	for _, item := range list {
		got[field(t, item, "id")] = item
	}
	if diff := cmp.Diff(want, got); diff != "" || len(list) != 3 {
		t.Errorf("%d tokens (-want +got):\n%s", len(list), diff)
	}
	for _, text := range tokens {
		if strings.Contains(string(answer.body), strings.Split(text, ".")[1]) {
			t.Error("a token is listed")
		}
	}
}

// TestIdentDelete takes tokens back through one server; the other one goes by it.
func TestIdentDelete(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	other := w.anotherIdent(t)
	alice, bob, admin := w.bearer(t, "alice", "secret"), w.bearer(t, "bob", "hunter2"), w.bearer(t, "admin", "adm")
	refreshed := func(text string) reply {
		return other.json(t, http.MethodPost, "/api/v1/tokens", text, `{"grant_type":"refresh_token"}`)
	}
	recorded := func() (id, text string) {
		text = field(t, w.authorize(t, alice, `{"scope":"offline_access"}`), "refresh_token")
		id, _, _ = strings.Cut(strings.TrimPrefix(text, "twr_"), ".")
		return id, text
	}
	remove := func(on *oauthWorld, bearer, id string) reply {
		return on.json(t, http.MethodDelete, "/api/v1/tokens/"+id, bearer, "")
	}
	id, text := recorded()
	remove(w, bob, id).is(t, "what is not bob's looks as if it were not there", 404, message("token not found"))
	if got := refreshed(text); got.status != http.StatusCreated {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	w.objects.Away(true)
	remove(w, alice, id).is(t, "nothing is said to be revoked that is not stored", 503, message("tokens can be neither read nor revoked at present"))
	w.objects.Away(false)
	if n := len(w.objects.Revocations()); n != 0 {
		t.Fatalf("%d revocations", n)
	}
	remove(w, alice, id).is(t, "", 204, "")
	if got := w.objects.Revocations(); len(got) != 1 || got[0].Spec.Token == nil || got[0].Spec.Token.ID != id {
		t.Fatalf("revocations %v", got)
	}
	refreshed(text).is(t, "the other server goes by it", 401, message("the refresh token was not accepted"))
	for name, server := range map[string]*oauthWorld{"the server that was asked": w, "the other one": other} {
		remove(server, alice, id).is(t, "deleted twice, at "+name, 404, message("token not found"))
	}
	if got := w.objects.Revocations(); len(got) != 1 {
		t.Errorf("revocations %v", got)
	}

	id, text = recorded()
	remove(w, admin, id).is(t, "who may revoke for others does so", 204, "")
	refreshed(text).is(t, "", 401, message("the refresh token was not accepted"))

	_, claims := says(t, alice)
	own, _ := claims["jti"].(string)
	remove(w, alice, own).is(t, "a bearer may end itself", 204, "")
	remove(other, alice, own).is(t, "and is no bearer any more", 401, refusedToken)
}

// TestIdentWhoDeletedWhatIsRecorded: as at the endpoint of OAuth, the audit record names the endpoint that was asked.
func TestIdentWhoDeletedWhatIsRecorded(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	bearer := w.bearer(t, "alice", "secret")
	_, claims := says(t, bearer)
	id, _ := claims["jti"].(string)
	w.json(t, http.MethodDelete, "/api/v1/tokens/"+id, bearer, "").is(t, "a bearer may end itself", 204, "")
	want := map[string]any{
		"outcome": "revoked", "grant": "ident_token", "jti": id, "subject": "alice", "provider": "users", "method": "password",
		"audience": provide, "requested": []any{}, "granted": []any{}, "sourceIP": "127.0.0.1",
	}
	if diff := cmp.Diff(want, w.revoked(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIdentAdministrators(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	w.login(t, "alice", "secret", "offline_access")
	w.refreshToken(t, service) // of an audience whose tokens the administrator may not list
	answer := w.json(t, http.MethodGet, "/api/v1/tokens?user_id=alice", w.bearer(t, "admin", "adm"), "")
	if answer.status != http.StatusOK || answer.header.Get("X-Total-Results-Count") != "1" || strings.Contains(string(answer.body), service) {
		t.Errorf("status %d: %s", answer.status, answer.body)
	}
}

// TestIdentNeedsItsAudience has a server without the flag know nothing of the API.
func TestIdentNeedsItsAudience(t *testing.T) {
	w := startOAuth(t, nil)
	for _, path := range []string{"/api/v1/authenticate", "/api/v1/tokens", "/.well-known/keys"} {
		if got := w.json(t, http.MethodPost, path, "", `{}`); got.status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got.status)
		}
	}
}

// TestWithoutAClusterNothingIsMadeToLast: who asks gets a token and no error.
func TestWithoutAClusterNothingIsMadeToLast(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, func(o *Options, _ *Parts, _ *snapshot.Input) { o.Manifests = []string{"files"} })
	login := w.login(t, "alice", "secret", "offline_access")
	docker := w.get(t, "alice", "secret", url.Values{"service": {service}, "offline_token": {"true"}})
	if login["refresh_token"] != nil || fields(t, docker.body)["refresh_token"] != nil || docker.status != http.StatusOK {
		t.Errorf("got %v, and status %d: %s", login, docker.status, docker.body)
	}
	bearer := field(t, login, "access_token")
	w.json(t, http.MethodPost, "/api/v1/tokens", bearer, `{"scope":"non_expiring"}`).
		is(t, "", 403, message("this server has no records, and issues no tokens without an expiry"))
	w.json(t, http.MethodDelete, "/api/v1/tokens/0-1-abcdefghijklmnopqrstuvwxyz", bearer, "").is(t, "", 404, message("token not found"))
	if got := w.json(t, http.MethodGet, "/api/v1/tokens", bearer, ""); got.status != http.StatusOK || strings.TrimSpace(string(got.body)) != "[]" {
		t.Errorf("status %d: %s", got.status, got.body)
	}
}
