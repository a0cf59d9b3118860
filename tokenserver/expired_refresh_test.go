package tokenserver

import (
	"net/http"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// TestAnExpiredRefreshToken sends a refresh token to each door before its end and after.
func TestAnExpiredRefreshToken(t *testing.T) {
	ends := time.Now().Add(4 * time.Second).Truncate(time.Second)
	offline := func(when *v1alpha1.When) *policy.Index {
		return fixture.Policies(t, fixture.Cluster("offline", users("alice"), typed("order", "none", "none"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
			spec.OfflineAccess, spec.When = &v1alpha1.OfflineAccess{MaxLifetime: "24h"}, when
		}))
	}
	w := startIdent(t, v1alpha1.EdDSA, func(_ *Options, _ *Parts, input *snapshot.Input) {
		input.Policies = offline(&v1alpha1.When{NotAfter: v1alpha1.NewDateTime(ends)})
	})
	bearer := w.bearer(t, "alice", "secret")
	docker, ident := w.refreshToken(t, service), field(t, w.authorize(t, bearer, `{"scope":"offline_access"}`), "refresh_token")
	ask := func() map[string]reply {
		return map[string]reply{
			"POST /token": w.form(t, "/token", "", "", values("grant_type", "refresh_token", "refresh_token", docker, "service", service)),
			"GET /token":  w.get(t, "<token>", docker, asking()),
			"Ident":       w.json(t, http.MethodPost, "/api/v1/tokens", ident, `{"grant_type":"refresh_token"}`),
		}
	}
	for name, answer := range ask() {
		if answer.status >= 300 {
			t.Fatalf("%s, before its end: %d %s", name, answer.status, answer.body)
		}
	}
	w.replace(func(input *snapshot.Input) { // so that it is the token that has ended, and not what policy allows
		input.Policies = offline(nil)
	})
	for _, record := range w.objects.Tokens() {
		if at := mustTime(t, string(record.Spec.Expires)); at.After(ends) {
			t.Fatalf("it ends at %s, and the policy that gave it at %s", at, ends)
		}
	}
	waitFor(t, "the tokens end", func() bool { return !time.Now().Before(ends) })
	const text = "the refresh token was not accepted"
	want := map[string]string{
		"POST /token": tokenProblem("UNAUTHORIZED", "invalid_grant", text),
		"GET /token":  `{"errors":[{"code":"UNAUTHORIZED","message":"` + text + `"}]}`,
		"Ident":       message(text),
	}
	for name, answer := range ask() {
		answer.is(t, name, 401, want[name])
	}
}
