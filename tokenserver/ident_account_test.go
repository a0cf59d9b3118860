package tokenserver

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// TestAnAccountGetsNothingThatLastsByIdent is the ServiceAccount that exchanges its token for one of the API and goes on with that:
// policies let everybody have whatever lasts, and it is a bearer as others are.
func TestAnAccountGetsNothingThatLastsByIdent(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, func(_ *Options, _ *Parts, input *snapshot.Input) {
		input.Providers = append(input.Providers, &provider.Provider{Name: "accounts", UID: "accounts-uid", Kubernetes: &provider.Kubernetes{
			Audiences: []string{"tokenwright"}, Verification: v1alpha1.VerifyOffline,
		}})
		input.Policies = fixture.Policies(t, append(oauthPolicies(),
			fixture.Cluster("all-exchange", []v1alpha1.Subject{fixture.Anybody}, oauthRule(provide, "exchange"), nil),
			fixture.Cluster("all-offline", []v1alpha1.Subject{fixture.Anybody}, typed("order", "none", "none"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
				spec.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "720h", NonExpiring: v1alpha1.Allowed}
			}))...)
	})
	account := w.cluster.token(t, time.Hour, nil)
	bearer := w.form(t, "/token", "", "", exchanging(account, "audience", provide)).text(t, "access_token")
	got := w.authorize(t, bearer, `{"scope":"offline_access order:eu/1:read,write"}`)
	text := field(t, got, "access_token")
	_, claims := says(t, text)
	want := map[string]any{
		"id": claims["jti"], "access_token": text, "expires_in": got["expires_in"], "scope": "order:eu/1:read", "permissions": json.Number("0"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, from := says(t, bearer); number(t, claims, "exp") > number(t, from, "exp") || number(t, got, "expires_in") > 900 {
		t.Errorf("it ends at %v and in %v s, and came from one that ends at %v", claims["exp"], got["expires_in"], from["exp"])
	}
	const needs = "a token without an expiry needs a password that was proved within five minutes"
	for name, with := range map[string]string{"the exchanged token": bearer, "what came from it": text} {
		w.json(t, http.MethodPost, "/api/v1/tokens", with, `{"scope":"non_expiring"}`).is(t, name, 403, message(needs))
	}
	w.json(t, http.MethodPost, "/api/v1/tokens", account, `{"scope":"offline_access"}`).is(t, "its own token", 401, refusedToken)
	if n := len(w.objects.Tokens()); n != 0 {
		t.Errorf("%d records", n)
	}
	// Whom a password proved may: it is not the policies that refuse it.
	if got := w.authorize(t, w.bearer(t, "bob", "hunter2"), `{"scope":"offline_access"}`); got["refresh_token"] == nil {
		t.Errorf("got %v", got)
	}
	w.authorize(t, w.bearer(t, "bob", "hunter2"), `{"scope":"non_expiring"}`)
}
