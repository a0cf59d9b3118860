package tokenserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeJWT       = "urn:ietf:params:oauth:token-type:jwt"
	typeAccess    = "urn:ietf:params:oauth:token-type:access_token"
	typeID        = "urn:ietf:params:oauth:token-type:id_token"
)

// values makes a form of names and values in turn.
func values(pairs ...string) url.Values {
	form := url.Values{}
	for n := 0; n < len(pairs); n += 2 {
		form.Add(pairs[n], pairs[n+1])
	}
	return form
}

func exchanging(subject string, more ...string) url.Values {
	form := values("grant_type", exchangeGrant, "subject_token", subject, "subject_token_type", typeJWT, "audience", api, "scope", "order:eu/1:read,write")
	for n := 0; n < len(more); n += 2 {
		form.Set(more[n], more[n+1])
	}
	return form
}

// tokenProblem is the body of an error of POST /token: the registry's form and RFC 6749's in one.
func tokenProblem(code, errorCode, description string) string {
	return `{"errors":[{"code":"` + code + `","message":"` + description + `"}],"error":"` + errorCode + `","error_description":"` + description + `"}`
}

func TestGrantsForServices(t *testing.T) {
	w := startOAuth(t, nil)
	builder := "system:serviceaccount:ci:builder"
	ours := w.sign(t, token.TypeAccess, api, func(c map[string]any) { c["scope"] = "order:eu/1:read order:us/1:write" })
	claims := func(sub, client, scope string) map[string]any {
		return map[string]any{"iss": issuerName, "sub": sub, "aud": api, "client_id": client, "scope": scope}
	}
	account := func(client string) map[string]any {
		c := claims(builder, client, "order:eu/1:read")
		c["tokenwright.dev/provider"] = "accounts"
		return c
	}
	robot := claims("robot", "robot", "order:1:read,write")
	robot["prvd"] = map[string]any{"permissions": json.Number("415")}
	other := claims("alice", "alice", "order:us/2:write")
	other["aud"], other["tokenwright.dev/through"] = otherAPI, []any{api}
	cases := map[string]struct {
		reason, user, password string
		form                   url.Values
		want                   map[string]any
	}{
		"client_credentials": {
			"a client asks for itself, and has the application's claims", "robot", "r2d2 + c3po%",
			values("grant_type", "client_credentials", "audience", api, "scope", "order:1:read,write,delete nats:x:publish"), robot,
		},
		"client_credentials for a resource": {
			"RFC 8707", "bob", "hunter2", values("grant_type", "client_credentials", "resource", api), claims("bob", "bob", ""),
		},
		"client_credentials of a ServiceAccount": {
			"its token is its password, with any name", "anything", w.cluster.token(t, time.Hour, nil),
			values("grant_type", "client_credentials", "audience", api, "scope", "order:eu/1:read"), account(builder),
		},
		"password with an audience": {
			"who asked for a service does not get a registry token; what a client calls itself nobody proved", "", "",
			values("grant_type", "password", "username", "alice", "password", "secret", "audience", api, "client_id", "admin", "scope", "order:1:read"),
			claims("alice", "alice", "order:1:read"),
		},
		"refresh_token with an audience": {
			"the same refresh token is good for both forms", "", "",
			values("grant_type", "refresh_token", "refresh_token", w.refreshToken(t, api), "audience", api, "scope", "order:1:read"),
			claims("alice", "alice", "order:1:read"),
		},
		"A ServiceAccount's token": {
			"a workload gets a scoped token", "", "", exchanging(w.cluster.token(t, time.Hour, nil)), account(builder),
		},
		"A ServiceAccount's token through a client": {
			"the client is named, and gives no rights", "gateway", "gw",
			exchanging(w.cluster.token(t, time.Hour, nil), "subject_token_type", typeID, "requested_token_type", typeAccess),
			account("gateway"),
		},
		"Our own access token": {
			"for its own audience it gets no more than it has", "", "",
			exchanging(ours, "subject_token_type", typeAccess, "scope", "order:eu/1:read,write order:us/1:* order:us/2:write"),
			claims("alice", "alice", "order:eu/1:read order:us/1:write"),
		},
		"Our own access token, for another audience": {
			"what is asked there is up to policy", "", "", exchanging(ours, "audience", otherAPI, "scope", "order:us/2:write"), other,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer := w.form(t, "/token", tc.user, tc.password, tc.form)
			if diff := cmp.Diff(tc.want, w.access(t, answer)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			body := fields(t, answer.body)
			if body["token_type"] != "Bearer" || body["scope"] != tc.want["scope"] || body["token"] != nil {
				t.Errorf("answer = %v", body)
			}
			issuedType, exchanged := body["issued_token_type"].(string)
			if exchanged != (tc.form.Get("grant_type") == exchangeGrant) || exchanged && issuedType != typeAccess {
				t.Errorf("issued_token_type = %q", issuedType)
			}
			if _, refresh := body["refresh_token"]; refresh != (tc.form.Get("grant_type") == "refresh_token") {
				t.Errorf("refresh_token: %v", refresh)
			}
			if answer.header.Get("Cache-Control") != "no-store" {
				t.Errorf("header = %v", answer.header)
			}
		})
	}
}

func TestAnExchangedTokenDoesNotOutliveTheOneThatCame(t *testing.T) {
	w := startOAuth(t, nil)
	end := time.Now().Add(5 * time.Minute)
	cases := map[string]string{
		"a ServiceAccount's": w.cluster.token(t, 0, func(c map[string]any) { c["exp"] = end.Unix() }),
		"with a fraction":    w.cluster.token(t, 0, func(c map[string]any) { c["exp"] = float64(end.Unix()) + 0.9 }),
		"ours":               w.sign(t, token.TypeAccess, api, func(c map[string]any) { c["exp"] = end.Unix() }),
	}
	for name, subject := range cases {
		t.Run(name, func(t *testing.T) {
			before := time.Now()
			answer := w.form(t, "/token", "", "", exchanging(subject))
			after := time.Now()
			verified, err := w.snapshots.Load().Verify(answer.text(t, "access_token"), issuerName, time.Now(), token.TypeAccess)
			if err != nil || verified.Expiry != end.Unix() {
				t.Errorf("exp = %d, and %d was that of the token that came (%v)", verified.Expiry, end.Unix(), err)
			}
			number, _ := fields(t, answer.body)["expires_in"].(json.Number)
			if got, err := number.Int64(); err != nil || got < end.Unix()-after.Unix() || got > end.Unix()-before.Unix() {
				t.Errorf("expires_in = %s, and the token ends in five minutes", number)
			}
		})
	}
}

func TestGrantsForServicesAreRefused(t *testing.T) {
	w := startOAuth(t, nil)
	account := w.cluster.token(t, time.Hour, nil)
	ours := w.sign(t, token.TypeAccess, api, nil)
	refresh := w.refreshToken(t, api)
	client := values("grant_type", "client_credentials", "audience", api)
	bad := func(description string) string {
		return tokenProblem("INVALID_REQUEST", "invalid_request", description)
	}
	notAccepted := bad("the subject_token was not accepted")
	wrongClient := tokenProblem("UNAUTHORIZED", "invalid_client", "the credentials were not accepted")
	unknown := tokenProblem("INVALID_TARGET", "invalid_target", "the service is not known here")
	notAllowed := tokenProblem("INVALID_TARGET", "invalid_target", "no policy lets the caller exchange a token for one of this audience")
	with := func(form url.Values, pairs ...string) url.Values {
		changed := url.Values{}
		for name, list := range form {
			changed[name] = list
		}
		for n := 0; n < len(pairs); n += 2 {
			changed.Add(pairs[n], pairs[n+1])
		}
		return changed
	}
	signed := func(change func(map[string]any)) string { return w.sign(t, token.TypeAccess, api, change) }
	cases := map[string]struct {
		reason, user, password string
		form                   url.Values
		status                 int
		body                   string
	}{
		"No client":                     {"RFC 6749, section 4.4: it must authenticate", "", "", client, 401, tokenProblem("UNAUTHORIZED", "invalid_client", "the client must prove who it is by HTTP Basic")},
		"A client with a wrong secret":  {"RFC 6749, section 5.2", "robot", "wrong", client, 401, wrongClient},
		"A client's secret in the form": {"Basic is the only way that is served", "", "", with(client, "client_id", "robot", "client_secret", "r2d2 + c3po%"), 401, tokenProblem("UNAUTHORIZED", "invalid_client", "the client must prove who it is by HTTP Basic")},
		"A refresh token as a secret":   {"it is good for the grant refresh_token only", "<token>", refresh, client, 401, wrongClient},
		"An access token as a secret":   {"it is for a service and not for us", "alice", ours, client, 401, wrongClient},
		"A registry for a client":       {"a registry's tokens are had by Docker's protocol", "bob", "hunter2", values("grant_type", "client_credentials", "service", service), 400, bad("service is for registries: audience or resource must be given with this grant type")},
		"No audience":                   {"a token must be for somebody", "bob", "hunter2", values("grant_type", "client_credentials"), 400, bad("audience is missing")},
		"Two audiences":                 {"one token has one", "bob", "hunter2", with(client, "audience", otherAPI), 400, bad("audience must not be given more than once")},
		"Two resources":                 {"one token has one", "bob", "hunter2", values("grant_type", "client_credentials", "resource", api, "resource", otherAPI), 400, bad("resource must not be given more than once")},
		"Audience and resource":         {"each reader would take another", "bob", "hunter2", with(client, "resource", api), 400, bad("only one of service, audience and resource may be given")},
		"Audience and service":          {"each reader would take another", "", "", values("grant_type", "password", "username", "bob", "password", "hunter2", "audience", api, "service", service), 400, bad("only one of service, audience and resource may be given")},
		"An unknown audience":           {"nobody signs for it", "bob", "hunter2", values("grant_type", "client_credentials", "audience", api+"/"), 400, unknown},
		"An audience without a key":     {"it may come", "bob", "hunter2", values("grant_type", "client_credentials", "audience", brokenService), 503, tokenProblem("UNAVAILABLE", "temporarily_unavailable", "there is no usable signing key for this service at present")},
		"A password beside Basic":       {"RFC 6749, section 2.3: not more than one", "bob", "hunter2", values("grant_type", "password", "username", "alice", "password", "secret", "audience", api), 400, bad("credentials may be in the form or in the Authorization header, not in both")},
		"A wrong password":              {"clients of registries take 400 for a server without POST", "", "", values("grant_type", "password", "username", "alice", "password", "x", "audience", api), 401, tokenProblem("UNAUTHORIZED", "invalid_grant", "the credentials were not accepted")},
		"A refresh token of another":    {"it is for its own audience", "", "", values("grant_type", "refresh_token", "refresh_token", refresh, "audience", otherAPI), 401, tokenProblem("UNAUTHORIZED", "invalid_grant", "the refresh token was not accepted")},
		"An access token as refresh":    {"each kind has its own use", "", "", values("grant_type", "refresh_token", "refresh_token", ours, "audience", api), 401, tokenProblem("UNAUTHORIZED", "invalid_grant", "the refresh token was not accepted")},
		"No refresh token":              {"there is nothing to go by", "", "", values("grant_type", "refresh_token", "audience", api), 400, bad("refresh_token is missing")},
		"No subject token":              {"there is nothing to go by", "", "", values("grant_type", exchangeGrant, "audience", api), 400, bad("subject_token is missing")},
		"No type of it":                 {"RFC 8693, section 2.1: it is required", "", "", values("grant_type", exchangeGrant, "audience", api, "subject_token", account), 400, bad("subject_token_type must be that of a jwt, an access_token or an id_token")},
		"A refresh token by type":       {"it is good for the grant refresh_token only", "", "", exchanging(refresh, "subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), 400, bad("subject_token_type must be that of a jwt, an access_token or an id_token")},
		"A refresh token":               {"it is good for the grant refresh_token only", "", "", exchanging(refresh), 400, notAccepted},
		"A password":                    {"it has no name", "", "", exchanging("secret"), 400, notAccepted},
		"A registry token":              {"it is for a registry and not for us", "", "", exchanging(w.registryToken(t, "alice", "secret")), 400, notAccepted},
		"Ours as an ID token":           {"we issue none", "", "", exchanging(ours, "subject_token_type", typeID), 400, notAccepted},
		"An actor":                      {"nobody acts for another here", "", "", exchanging(account, "actor_token", account, "actor_token_type", typeJWT), 400, bad("actor_token is not served here")},
		"Another type to be issued":     {"there is one", "", "", exchanging(account, "requested_token_type", typeID), 400, bad("requested_token_type must be " + typeAccess)},
		"A wrong client":                {"who names a client must prove it", "gateway", "wrong", exchanging(account), 401, wrongClient},
		"No right to exchange":          {"policy has not given it", "", "", exchanging(account, "audience", otherAPI), 400, notAllowed},
		"A right of the client's":       {"it is the subject's that counts", "alice", "secret", exchanging(account, "audience", otherAPI), 400, notAllowed},
		"For an unknown audience":       {"nobody signs for it", "", "", exchanging(account, "audience", "x"), 400, unknown},
		"An expired one":                {"it was good", "", "", exchanging(w.cluster.token(t, -5*time.Minute, nil)), 400, notAccepted},
		"One that ends within a minute": {"there is no shorter token", "", "", exchanging(w.cluster.token(t, 30*time.Second, nil)), 400, notAccepted},
		"For another than us":           {"its audience is not ours", "", "", exchanging(w.cluster.token(t, time.Hour, func(c map[string]any) { c["aud"] = []string{"vault"} })), 400, notAccepted},
		"Ours, expired":                 {"it was good", "", "", exchanging(signed(func(c map[string]any) { c["exp"] = time.Now().Unix() })), 400, notAccepted},
		"Ours, of a user who is gone":   {"no provider vouches any more", "", "", exchanging(signed(func(c map[string]any) { c["sub"] = "carol" })), 400, notAccepted},
		"Ours, of nobody":               {"nobody has no rights", "", "", exchanging(signed(func(c map[string]any) { c["sub"] = "" })), 400, notAccepted},
		"Ours, of another's name space": {"only the API server gives such names", "", "", exchanging(signed(func(c map[string]any) { c["sub"] = "system:masters" })), 400, notAccepted},
		"A grant that is not served":    {"RFC 6749, section 5.2", "", "", values("grant_type", "authorization_code", "code", "x", "audience", api), 400, tokenProblem("UNSUPPORTED_GRANT_TYPE", "unsupported_grant_type", "the grant types served here are password, refresh_token, client_credentials, "+exchangeGrant)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w.form(t, "/token", tc.user, tc.password, tc.form).is(t, tc.reason, tc.status, tc.body)
		})
	}
}

// TestNothingThatCameFromATokenLasts is the ServiceAccount that wants a login for ever. What it gets has these members, and no
// others.
func TestNothingThatCameFromATokenLasts(t *testing.T) {
	w := startOAuth(t, func(_ *Options, _ *Parts, input *snapshot.Input) {
		input.Policies = fixture.Policies(t, append(oauthPolicies(), fixture.Cluster("all-offline", []v1alpha1.Subject{fixture.Anybody},
			typed("order", "none", "none"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
				spec.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "24h"}
			}))...)
	})
	account := w.cluster.token(t, time.Hour, nil)
	offline := exchanging(account, "access_type", "offline", "offline_token", "true")
	exchanged := w.form(t, "/token", "", "", offline)
	text := exchanged.text(t, "access_token")
	client := values("grant_type", "client_credentials", "audience", api, "access_type", "offline")
	access := func(scope string, more ...string) map[string]any {
		want := map[string]any{"access_token": "a token", "token_type": "Bearer", "expires_in": json.Number("900"), "scope": scope}
		for n := 0; n < len(more); n += 2 {
			want[more[n]] = more[n+1]
		}
		return want
	}
	for name, c := range map[string]struct {
		answer reply
		want   map[string]any
	}{
		"exchange":                 {exchanged, access("order:eu/1:read", "issued_token_type", typeAccess)},
		"exchange of the outcome":  {w.form(t, "/token", "", "", exchanging(text, "access_type", "offline")), access("order:eu/1:read", "issued_token_type", typeAccess)},
		"client_credentials":       {w.form(t, "/token", "robot", "r2d2 + c3po%", client), access("")},
		"a client with an account": {w.form(t, "/token", "x", account, client), access("")},
		"Docker's GET": {w.get(t, "x", account, values("service", service, "offline_token", "true")), map[string]any{
			"access_token": "a token", "token": "a token", "issued_at": "a time", "expires_in": json.Number("900"),
		}},
	} {
		got := fields(t, c.answer.body)
		for member, is := range map[string]string{"access_token": "a token", "token": "a token", "issued_at": "a time"} {
			if value, _ := got[member].(string); value != "" {
				got[member] = is
			}
		}
		if lives, _ := got["expires_in"].(json.Number); name == "exchange of the outcome" && lives == "899" {
			got["expires_in"] = json.Number("900") // the one that came has less by the time between
		}
		if diff := cmp.Diff(c.want, got); diff != "" || c.answer.status != http.StatusOK {
			t.Errorf("%s: status %d (-want +got):\n%s", name, c.answer.status, diff)
		}
	}
	w.get(t, "<token>", text, values("service", service, "offline_token", "true")).is(t, "an access token is no login", 401,
		`{"errors":[{"code":"UNAUTHORIZED","message":"the credentials were not accepted"}]}`)
	w.form(t, "/token", "", "", values("grant_type", "password", "username", "x", "password", text, "service", service, "access_type", "offline")).
		is(t, "an access token is no password", 401, tokenProblem("UNAUTHORIZED", "invalid_grant", "the credentials were not accepted"))
	if w.objects.Calls() != 0 {
		t.Errorf("%d records were asked for", w.objects.Calls())
	}
}

func TestARevokedTokenCannotBeExchanged(t *testing.T) {
	w := startOAuth(t, nil)
	ours := w.sign(t, token.TypeAccess, api, nil)
	w.access(t, w.form(t, "/token", "", "", exchanging(ours)))
	w.form(t, "/revoke", "alice", "secret", values("token", ours)).is(t, "it is hers", 200, "")
	w.form(t, "/token", "", "", exchanging(ours)).
		is(t, "it was taken back", 400, tokenProblem("INVALID_REQUEST", "invalid_request", "the subject_token was not accepted"))
	w.revokeSubject(t, "system:serviceaccount:ci:builder", time.Now())
	answer := w.form(t, "/token", "", "", exchanging(w.cluster.token(t, time.Hour, nil)))
	answer.is(t, "nothing is minted for a subject that was just revoked", 503,
		tokenProblem("UNAVAILABLE", "temporarily_unavailable", "the tokens of this user were revoked a moment ago"))
	if wait, err := strconv.Atoi(answer.header.Get("Retry-After")); err != nil || wait < 60 || wait > 125 {
		t.Errorf("Retry-After = %q", answer.header.Get("Retry-After"))
	}
}

func TestPoliciesThatContradictEachOtherGiveNoTokenForAService(t *testing.T) {
	w := startOAuth(t, func(_ *Options, _ *Parts, input *snapshot.Input) {
		input.Policies = fixture.Policies(t, append(oauthPolicies(), fixture.Cluster("conflict", users("robot"), typed("order", "none", "none"),
			func(spec *v1alpha1.ClusterAccessPolicySpec) {
				spec.Claims = []v1alpha1.Claim{{Name: "prvd", Value: v1alpha1.ClaimValue{Raw: []byte("1")}}}
			}))...)
	})
	w.form(t, "/token", "robot", "r2d2 + c3po%", values("grant_type", "client_credentials", "audience", api)).
		is(t, "which of both is right nobody knows", 400, tokenProblem("INVALID_SCOPE", "invalid_scope", "conflicting_claims"))
	waitFor(t, "the refusal is in the audit log", func() bool {
		log := readFile(t, w.auditFile)
		return strings.Contains(log, `"error":"InvalidScope"`) && strings.Contains(log, `"subject":"robot"`)
	})
}

func TestTheClientOfAnExchangeIsRecorded(t *testing.T) {
	w := startOAuth(t, nil)
	account := w.cluster.token(t, time.Hour, nil)
	w.access(t, w.form(t, "/token", "gateway", "gw", exchanging(account)))
	log := readFile(t, w.auditFile)
	for _, want := range []string{`"grant":"token_exchange"`, `"subject":"system:serviceaccount:ci:builder"`, `"client":"gateway"`, `"method":"serviceaccount"`} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is missing in %s", want, log)
		}
	}
	if strings.Contains(log, account) || strings.Contains(log, "eyJ") {
		t.Error("the audit log holds a token")
	}
}
