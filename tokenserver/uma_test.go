package tokenserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// TestPermissions asks for what alice may, in every form.
func TestPermissions(t *testing.T) {
	w := startUMA(t, nil)
	one := `{"rsid":"orders/eu-1","rsname":"Order 1","scopes":["read","write"]}`
	two := `{"rsid":"orders/eu-2","rsname":"Order 2","scopes":["read"]}`
	beach := `{"rsid":"beach","rsname":"The beach","scopes":["edit","view"]}`
	const reading = `{"rsid":"orders/eu-1","rsname":"Order 1","scopes":["read"]}`
	cases := map[string]struct {
		reason string
		form   url.Values
		want   string
	}{
		"Everything":                  {"no permission is named", umaForm(), `[` + beach + `,` + one + `,` + two + `]`},
		"By id":                       {"what is not granted is left out", umaForm("permission", "orders/eu-1"), `[` + one + `]`},
		"By name with a scope":        {"", umaForm("permission", "Order 1#read"), `[` + reading + `]`},
		"Several":                     {"in the order of the request", umaForm("permission", "orders/eu-2", "permission", "orders/eu-1#read", "permission", "photos/vault"), `[` + two + `,` + reading + `]`},
		"Every resource with a scope": {"", umaForm("permission", "#read"), `[` + reading + `,` + two + `]`},
		"A type":                      {"", umaForm("permission", "resource-type:order#write"), `[{"rsid":"orders/eu-1","rsname":"Order 1","scopes":["write"]}]`},
		"The caller's own":            {"the owner has every scope", umaForm("permission", "resource-type-owner:album"), `[` + beach + `]`},
		"By uri":                      {"", umaForm("permission", "/orders/{id}#read", "permission_resource_format", "uri"), `[` + reading + `]`},
		"By a path":                   {"", umaForm("permission", "/orders/17#read", "permission_resource_format", "uri", "permission_resource_matching_uri", "true"), `[` + reading + `]`},
		"The last one":                {"", umaForm("response_permissions_limit", "1"), `[` + two + `]`},
		"Without names":               {"", umaForm("permission", "orders/eu-2", "response_include_resource_name", "false"), `[{"rsid":"orders/eu-2","scopes":["read"]}]`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.form.Set("response_mode", "permissions")
			w.form(t, "/token", "alice", "secret", tc.form).is(t, tc.reason, 200, tc.want)
			tc.form.Del("response_mode")
			answer := w.form(t, "/token", "alice", "secret", tc.form)
			claims := w.rpt(t, answer.text(t, "access_token"))
			want := map[string]any{
				"iss": issuerName, "sub": "alice", "aud": api, "client_id": "alice", "authorization": map[string]any{"permissions": decoded(t, tc.want)},
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			body := fields(t, answer.body)
			delete(body, "access_token")
			if diff := cmp.Diff(map[string]any{"token_type": "Bearer", "expires_in": json.Number("900"), "upgraded": false}, body); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
	if n := w.spent(); n != 0 {
		t.Errorf("%d objects were stored", n)
	}
}

// TestWhoAsks gives each proof what it is worth.
func TestWhoAsks(t *testing.T) {
	w := startUMA(t, nil)
	all := w.aat(t, "alice", "secret", api, "uma_authorization")
	narrow := w.aat(t, "alice", "secret", api, "order:eu-1:read")
	none := w.aat(t, "bob", "hunter2", api, "order:eu-1:read")
	elsewhere := w.aat(t, "alice", "secret", otherAPI, "uma_authorization")
	narrowElsewhere := w.aat(t, "alice", "secret", otherAPI, "order:eu-1:read")
	robot := w.aat(t, "robot", "r2d2 + c3po%", otherAPI, "uma_authorization")
	bobElsewhere := w.aat(t, "bob", "hunter2", otherAPI, "uma_authorization")
	rpt := w.form(t, "/token", "alice", "secret", umaForm()).text(t, "access_token")
	ward := w.hub.Token(t, w.hub.GitHub(map[string]any{"ward": []string{"7"}}))
	insufficient := problemOf("insufficient_scope", "the token does not stand for the caller here: ask for one with the scope uma_authorization")
	notAccepted := problemOf("invalid_token", "the token was not accepted")
	const reading = `[{"rsid":"orders/eu-1","rsname":"Order 1","scopes":["read"]}]`
	const both = `[{"rsid":"orders/eu-1","rsname":"Order 1","scopes":["read","write"]},{"rsid":"orders/eu-2","rsname":"Order 2","scopes":["read"]}]`
	const second = `[{"rsid":"orders/eu-2","rsname":"Order 2","scopes":["read"]}]`
	cases := map[string]struct {
		reason, user, password string
		more                   []string
		status                 int
		want                   string
	}{
		"A password":                               {"", "alice", "secret", nil, 200, both},
		"A token that stands for the caller":       {"", "bearer", all, nil, 200, both},
		"A narrow token":                           {"it gives what it says, and no more", "bearer", narrow, nil, 200, reading},
		"A token without a scope":                  {"it gives nothing", "bearer", none, nil, 403, insufficient},
		"A token of another audience":              {"its user may exchange it", "bearer", elsewhere, nil, 200, both},
		"A token of another audience, not allowed": {"no policy lets its user", "bearer", bobElsewhere, nil, 400, problemOf("invalid_target", "no policy lets the caller exchange a token for one of this audience")},
		"Another user's, allowed":                  {"", "bearer", robot, nil, 200, both},
		"A narrow token of another audience":       {"its scopes are of other resources, also where their names are the same", "bearer", narrowElsewhere, nil, 403, insufficient},
		"A ServiceAccount's token":                 {"it may read what policies let it", "bearer", w.cluster.token(t, time.Hour, nil), nil, 403, problemOf("request_denied", "no policy grants what was asked for")},
		"A token of an issuer":                     {"it says nothing of wards by itself", "bearer", ward, nil, 403, problemOf("request_denied", "no policy grants what was asked for")},
		"A token of an issuer and its claims":      {"an issuer has signed them", "bearer", ward, []string{"claim_token", ward}, 200, second},
		"An ID token through a client":             {"it says for whom the client asks", "gateway", "gw", []string{"claim_token", ward, "claim_token_format", "http://openid.net/specs/openid-connect-core-1_0.html#IDToken"}, 200, second},
		"An ID token of another user": {
			"the claims of one are not the other's", "bearer", all, []string{"claim_token", ward}, 400,
			problemOf("invalid_request", "the claim_token is of another user than the bearer"),
		},
		"An ID token alone":              {"a client must prove who it is", "", "", []string{"claim_token", ward}, 401, problemOf("invalid_client", "the caller must prove who it is")},
		"Our own token as an ID token":   {"we issue none", "gateway", "gw", []string{"claim_token", all}, 400, problemOf("invalid_request", "the claim_token was not accepted")},
		"A ServiceAccount's as ID token": {"it is no ID token", "gateway", "gw", []string{"claim_token", w.cluster.token(t, time.Hour, nil)}, 400, problemOf("invalid_request", "the claim_token was not accepted")},
		"A password as an ID token":      {"", "gateway", "gw", []string{"claim_token", "secret"}, 400, problemOf("invalid_request", "the claim_token was not accepted")},
		"Claims that nobody signed": {
			"anybody can write them", "bob", "hunter2", []string{"claim_token", "eyJ3YXJkIjpbIjciXX0", "claim_token_format", "urn:ietf:params:oauth:token-type:jwt"}, 400,
			problemOf("invalid_request", "claim_token must be an ID token (claim_token_format=http://openid.net/specs/openid-connect-core-1_0.html#IDToken): claims that nobody signed prove nothing"),
		},
		"An unsigned token":                 {"the issuer has not signed it", "bob", "hunter2", []string{"claim_token", unsigned(ward)}, 400, problemOf("invalid_request", "the claim_token was not accepted")},
		"A format without a token":          {"", "bob", "hunter2", []string{"claim_token_format", "x"}, 400, problemOf("invalid_request", "claim_token is missing")},
		"Nobody":                            {"", "", "", nil, 401, problemOf("invalid_client", "the caller must prove who it is")},
		"A wrong password":                  {"", "alice", "wrong", nil, 401, problemOf("invalid_client", "the credentials were not accepted")},
		"Nonsense":                          {"", "bearer", "x", nil, 401, problemOf("invalid_token", "the bearer is not a token that proves who asks")},
		"An RPT":                            {"it is for resource servers", "bearer", rpt, nil, 401, notAccepted},
		"A ticket":                          {"it proves nobody", "bearer", w.ticket(t, nil, reads("orders/eu-1")...), nil, 401, notAccepted},
		"A registry token":                  {"", "bearer", w.registryToken(t, "alice", "secret"), nil, 401, notAccepted},
		"A refresh token":                   {"", "bearer", w.refreshToken(t, api), nil, 401, problemOf("invalid_token", "the bearer is not a token that proves who asks")},
		"A token that ended":                {"", "bearer", w.sign(t, token.TypeAccess, api, func(c map[string]any) { c["exp"] = time.Now().Add(-time.Second).Unix() }), nil, 401, notAccepted},
		"A forged token":                    {"", "bearer", all[:len(all)-8] + "AAAAAAAA", nil, 401, notAccepted},
		"An access token of a deleted user": {"", "bearer", w.sign(t, token.TypeAccess, api, func(c map[string]any) { c["sub"], c["scope"] = "gone", "uma_authorization" }), nil, 401, notAccepted},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			form := umaForm(append([]string{"permission", "resource-type:order", "response_mode", "permissions"}, tc.more...)...)
			w.form(t, "/token", tc.user, tc.password, form).is(t, tc.reason, tc.status, tc.want)
		})
	}
}

// unsigned is a token with the same claims and no signature.
func unsigned(text string) string {
	parts := strings.Split(text, ".")
	return "eyJhbGciOiJub25lIn0." + parts[1] + "."
}

// ticketWithout is a ticket that lacks a claim.
func (w *umaWorld) ticketWithout(t testing.TB, name string) string {
	t.Helper()
	return w.sign(t, token.TypeTicket, api, func(c map[string]any) {
		c["aud"], c["tokenwright.dev/resource_server"], c["tokenwright.dev/requested_by"] = issuerName, api, "rs"
		c["tokenwright.dev/permissions"] = []any{map[string]any{"rsid": "orders/eu-1", "scopes": []string{"read"}}}
		delete(c, "scope")
		delete(c, name)
	})
}

// TestATicketIsGoodOnceOnAllServers lets many come with one ticket at once, to two servers.
func TestATicketIsGoodOnceOnAllServers(t *testing.T) {
	w := startUMA(t, nil)
	second := startUMA(t, func(_ *Options, parts *Parts, input *snapshot.Input) {
		*input, parts.Records = w.input, w.objects.Store(t)
	})
	ticket := w.ticket(t, nil, reads("orders/eu-1")...)
	var mu sync.Mutex
	answers := map[int]int{}
	var all sync.WaitGroup
	for n := range 20 {
		server := []*umaWorld{w, second}[n%2]
		all.Go(func() {
			answer := server.form(t, "/token", "alice", "secret", umaForm("ticket", ticket))
			mu.Lock()
			defer mu.Unlock()
			answers[answer.status]++
		})
	}
	all.Wait()
	if diff := cmp.Diff(map[int]int{http.StatusOK: 1, http.StatusBadRequest: 19}, answers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNothingComesOfATicketThatCannotBeSpent takes the API server away.
func TestNothingComesOfATicketThatCannotBeSpent(t *testing.T) {
	w := startUMA(t, nil)
	ticket := w.ticket(t, nil, reads("orders/eu-1")...)
	w.objects.Away(true)
	w.form(t, "/token", "alice", "secret", umaForm("ticket", ticket)).
		is(t, "nothing is stored", 503, problemOf("temporarily_unavailable", "that the ticket is used cannot be stored at present"))
	w.form(t, "/token", "alice", "secret", umaForm("permission", "orders/eu-1#read", "response_mode", "decision")).is(t, "that needs nothing stored", 200, `{"result":true}`)
	w.objects.Away(false)
	if answer := w.form(t, "/token", "alice", "secret", umaForm("ticket", ticket)); answer.status != http.StatusOK {
		t.Errorf("it is still good: %s", answer.body)
	}
}

func TestTicketsAreBounded(t *testing.T) {
	w := startUMA(t, nil)
	for n := range 60 {
		answer := w.form(t, "/token", "alice", "secret", umaForm("ticket", w.ticket(t, nil, reads("orders/eu-1")...), "response_mode", "decision"))
		if answer.status == http.StatusTooManyRequests {
			answer.is(t, "", 429, problemOf("temporarily_unavailable", "too much is stored for the caller: try again later"))
			if n < 30 || answer.header.Get("Retry-After") == "" {
				t.Errorf("the %dth: %v", n, answer.header)
			}
			return
		}
	}
	t.Error("a caller fills the API server")
}

// TestWithoutAClusterThereAreNoTickets: nobody could say that one was used.
func TestWithoutAClusterThereAreNoTickets(t *testing.T) {
	w := startUMA(t, func(options *Options, _ *Parts, _ *snapshot.Input) { options.Manifests = []string{"manifests"} })
	w.form(t, "/token", "alice", "secret", umaForm("ticket", w.ticket(t, nil, reads("orders/eu-1")...))).is(t, "it says so", 400,
		problemOf("invalid_request", "this server runs without a cluster, and has no permission tickets: ask with audience and permission"))
	if answer := w.form(t, "/token", "alice", "secret", umaForm("permission", "orders/eu-1")); answer.status != http.StatusOK {
		t.Errorf("permission: %s", answer.body)
	}
}

// TestOwnersAreAsked denies what an owner could allow.
func TestOwnersAreAsked(t *testing.T) {
	w := startUMA(t, nil)
	viewing := token.Permission{ID: "beach", Scopes: []string{"view"}}
	submitted := func(reason string, answer reply) string {
		t.Helper()
		body := fields(t, answer.body)
		ticket, _ := body["ticket"].(string)
		delete(body, "ticket")
		want := map[string]any{"error": "request_submitted", "error_description": "the owners were asked", "interval": json.Number("60")}
		if diff := cmp.Diff(want, body); diff != "" || answer.status != 403 {
			t.Errorf("%s %d (-want +got):\n%s", reason, answer.status, diff)
		}
		return ticket
	}
	ask := func(user, password string, more ...string) reply {
		return w.form(t, "/token", user, password, umaForm(append([]string{"submit_request", "true"}, more...)...))
	}
	expect := func(reason string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, w.owners.take()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
	ticket := submitted("with a ticket", ask("bob", "hunter2", "ticket", w.ticket(t, nil, viewing)))
	expect("with a ticket", "bob beach view")
	if verified, err := w.snapshots.Load().Verify(ticket, issuerName, time.Now(), token.TypeTicket); err != nil || verified.RequestedBy != "rs" {
		t.Errorf("another ticket of the same resource server: %v, %v", verified, err)
	}
	again := submitted("with the next ticket", ask("bob", "hunter2", "ticket", ticket))
	if again == ticket || again == "" {
		t.Error("each is another")
	}
	expect("with the next ticket", "bob beach view")
	if submitted("with a permission", ask("bob", "hunter2", "permission", "beach")) != "" {
		t.Error("there was no ticket")
	}
	expect("all scopes", "bob beach edit,view")
	denied := problemOf("request_denied", "no policy grants what was asked for")
	ask("bob", "hunter2", "permission", "photos/vault").is(t, "nobody owns it", 403, denied)
	ask("bob", "hunter2", "permission", "resource-type:album").is(t, "who asks for all asks for nothing in particular", 403, denied)
	w.form(t, "/token", "bob", "hunter2", umaForm("ticket", w.ticket(t, nil, viewing))).is(t, "nobody is asked unless that is wanted", 403, denied)
	expect("nobody")
	w.owners.err = permission.ErrNotTaken
	ask("bob", "hunter2", "permission", "beach").is(t, "the owner has too many to decide", 403, denied)
	w.owners.err = http.ErrServerClosed
	ask("bob", "hunter2", "permission", "beach").is(t, "nothing is stored", 503, problemOf("temporarily_unavailable", "the owners cannot be asked at present"))
}
