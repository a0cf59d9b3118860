package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver"
)

// identity is the audience of the API of Provide Ident.
const identity = "https://ident.example.com"

// said is an answer as it is documented.
type said struct {
	Status int
	Body   string
	Retry  bool
}

func saidBy(r reply) said {
	return said{r.status, strings.TrimSpace(string(r.body)), r.header.Get("Retry-After") != ""}
}

func (r reply) is(t *testing.T, what string, want said) {
	t.Helper()
	if diff := cmp.Diff(want, saidBy(r)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var (
	notAccepted = said{http.StatusUnauthorized, `{"errors":[{"code":"UNAUTHORIZED","message":"the refresh token was not accepted"}],` +
		`"error":"invalid_grant","error_description":"the refresh token was not accepted"}`, false}
	notRefreshed = said{http.StatusServiceUnavailable, `{"errors":[{"code":"UNAVAILABLE","message":"refresh tokens can be neither stored nor read at present"}],` +
		`"error":"temporarily_unavailable","error_description":"refresh tokens can be neither stored nor read at present"}`, true}
	notIssued  = said{http.StatusServiceUnavailable, `{"errors":[{"code":"UNAVAILABLE","message":"refresh tokens can be neither stored nor read at present"}]}`, true}
	notRevoked = said{http.StatusServiceUnavailable, `{"error":"temporarily_unavailable","error_description":"the token could not be revoked at present"}`, true}
	notDeleted = said{http.StatusServiceUnavailable, "{\n    \"message\": \"tokens can be neither read nor revoked at present\"\n}", true}
)

// held are tokens that alice has when the API server goes, by what becomes of them.
type held struct {
	// account is a ServiceAccount's token, bearer one for the API of Provide Ident.
	account, bearer string
	// live stays good, revoked was revoked before, and the others are while it is away: the first by its string, the second
	// by its id, the third as an access token.
	live, revoked, taken, deleted, signed string
}

// TestTheAPIServerIsGone stops it under two servers. What needs nothing of it goes on; what must be stored, or could have been
// revoked since, is 503; and when it is back, nothing is lost, and nothing is there twice.
func TestTheAPIServerIsGone(t *testing.T) {
	plane := startPlane(t, controlplane.Options{CertDir: t.TempDir()})
	first := startOn(t, plane, func(o *tokenserver.Options) { o.IdentAudience = identity })
	config, err := plane.ServerConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second := serve(t, plane, config, func(o *tokenserver.Options) { o.IdentAudience, o.PodName = identity, "server-1" })
	second.ready(t)
	first.createKey(t, "identity", identity, newKey(t, v1alpha1.KeyActive))
	first.allowRefresh(t)
	both := []*world{first, second}
	h := first.holds(t, both)
	records, revocations := first.records(t), len(first.revocations(t, ""))

	if err := plane.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	for n, w := range both {
		w.eventually(t, "the server has noticed", func() bool { return w.refresh(t, h.live).status == http.StatusServiceUnavailable })
		t.Run([]string{"The one", "The other"}[n]+" while it is away", func(t *testing.T) { w.alone(t, h) })
	}
	if err := plane.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	for n, w := range both {
		w.eventually(t, "what is good is taken again", func() bool {
			if got := w.refresh(t, h.revoked); got.status == http.StatusOK {
				t.Fatal("what was revoked before is good again")
			}
			return w.refresh(t, h.live).status == http.StatusOK
		})
		t.Run([]string{"The one", "The other"}[n]+" when it is back", func(t *testing.T) {
			w.refresh(t, h.revoked).is(t, "what was revoked before", notAccepted)
			for what, token := range map[string]string{"taken back": h.taken, "deleted": h.deleted} {
				if got := w.refresh(t, token); n == 0 && got.status != http.StatusOK {
					t.Errorf("what was not %s, because it was answered with 503: status %d", what, got.status)
				}
			}
			w.again(t, h, n == 0)
		})
	}
	if got := first.records(t); got != records {
		t.Errorf("%d records, and %d before: what was answered with 503 left some behind", got, records)
	}
	token := first.login(t)
	if token.status != http.StatusOK || first.records(t) != records+1 {
		t.Errorf("who asks again for a refresh token: status %d, %d records, and %d before", token.status, first.records(t), records)
	}
	for _, w := range both {
		w.eventually(t, "the new one is taken", func() bool { return w.refresh(t, token.refresh).status == http.StatusOK })
	}
	if got := len(first.revocations(t, "")); got != revocations+3 {
		t.Errorf("%d revocations, and %d before, for three tokens that were revoked at two servers, and asked for before", got, revocations)
	}
}

// holds makes the tokens, and waits until all servers go by what was done to them.
func (w *world) holds(t *testing.T, all []*world) held {
	t.Helper()
	w.eventually(t, "refresh tokens are issued", func() bool { return w.login(t).refresh != "" })
	account, err := w.plane.ServiceAccountToken(t.Context(), "team-a", "ci", time.Hour, "tokenwright")
	if err != nil {
		t.Fatal(err)
	}
	h := held{account: account, live: w.login(t).refresh, revoked: w.login(t).refresh, taken: w.login(t).refresh, deleted: w.login(t).refresh}
	w.eventually(t, "the API of Provide Ident has its key", func() bool {
		h.bearer = w.authenticate(t)
		return h.bearer != ""
	})
	h.signed = accessTokenOf(t, w.ask(t, "alice", "secret", ""))
	w.revoke(t, h.revoked)
	for _, w := range all {
		w.eventually(t, "the revocation is known", func() bool { return w.refresh(t, h.revoked).status == http.StatusUnauthorized })
		for _, token := range []string{h.live, h.taken, h.deleted} {
			w.eventually(t, "the token is known", func() bool { return w.refresh(t, token).status == http.StatusOK })
		}
		w.wants(t, "ci", h.account, "", nil)
	}
	return h
}

// alone is what a server answers without an API server.
func (w *world) alone(t *testing.T, h held) {
	w.wants(t, "alice", "secret", "repository:team-a/app:pull", []string{"repository:team-a/app:pull"})
	w.wants(t, "ci", h.account, "repository:team-a/app:pull", nil)
	for what, token := range map[string]string{"a good one": h.live, "one that was revoked": h.revoked} {
		w.refresh(t, token).is(t, "refresh: "+what, notRefreshed)
	}
	w.login(t).is(t, "a new refresh token", notIssued)
	w.revocation(t, h.taken).is(t, "the revocation of a refresh token", notRevoked)
	w.revocation(t, h.signed).is(t, "the revocation of an access token", notRevoked)
	w.deleteToken(t, h).is(t, "the deletion", notDeleted)
}

// again asks for what was answered with 503; the first time at the one server, and then at the other.
func (w *world) again(t *testing.T, h held, firstTime bool) {
	for what, token := range map[string]string{"refresh": h.taken, "access": h.signed} {
		w.revocation(t, token).is(t, "the revocation of the "+what+" token", said{http.StatusOK, "", false})
	}
	want := said{http.StatusNoContent, "", false}
	if !firstTime {
		want = said{http.StatusNotFound, "{\n    \"message\": \"token not found\"\n}", false}
		w.eventually(t, "the deletion is known", func() bool { return w.refresh(t, h.deleted).status == http.StatusUnauthorized })
	}
	w.deleteToken(t, h).is(t, "the deletion", want)
	w.revocation(t, h.taken).is(t, "the revocation once more", said{http.StatusOK, "", false})
	for _, token := range []string{h.taken, h.deleted} {
		w.refresh(t, token).is(t, "what is revoked now", notAccepted)
	}
	for what, id := range map[string]string{"taken back": idOf(h.taken), "deleted": idOf(h.deleted)} {
		if got := len(w.revocations(t, id)); got != 1 {
			t.Errorf("%d revocations of the token that was %s", got, what)
		}
	}
}

// authenticate is POST /api/v1/authenticate. It returns the bearer token, or nothing.
func (w *world) authenticate(t *testing.T) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/api/v1/authenticate", strings.NewReader(`{"username":"alice","password":"secret"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	got := w.do(t, request)
	if got.status != http.StatusCreated {
		return ""
	}
	var fields struct {
		Token struct {
			AccessToken string `json:"access_token"`
		} `json:"token"`
	}
	if err := json.Unmarshal(got.body, &fields); err != nil {
		t.Fatal(err)
	}
	return fields.Token.AccessToken
}

// deleteToken is DELETE /api/v1/tokens/{id} of the token that is deleted.
func (w *world) deleteToken(t *testing.T, h held) reply {
	t.Helper()
	return w.send(t, w.url+"/api/v1/tokens/"+idOf(h.deleted), func(r *http.Request) {
		r.Method = http.MethodDelete
		r.Header.Set("Authorization", "Bearer "+h.bearer)
	})
}

// revocation is POST /revoke, as alice.
func (w *world) revocation(t *testing.T, token string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/revoke", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("alice", "secret")
	return w.do(t, request)
}

// idOf is the id in a refresh token.
func idOf(token string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(token, "twr_"), ".")
	return id
}

func accessTokenOf(t *testing.T, r reply) string {
	t.Helper()
	var fields struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(r.body, &fields); err != nil {
		t.Fatal(err)
	}
	return fields.Token
}

// revocations are those of the token, or all.
func (w *world) revocations(t *testing.T, id string) []v1alpha1.TokenRevocation {
	t.Helper()
	var list v1alpha1.TokenRevocationList
	if err := w.plane.Client.List(t.Context(), &list, client.InNamespace(system)); err != nil {
		t.Fatal(err)
	}
	var found []v1alpha1.TokenRevocation
	for _, r := range list.Items {
		if id == "" || r.Spec.Token != nil && r.Spec.Token.ID == id {
			found = append(found, r)
		}
	}
	return found
}
