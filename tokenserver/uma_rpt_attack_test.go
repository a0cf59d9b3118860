package tokenserver

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// TestAnRPTIsNotOfAResourceThatCameLater takes a resource away and lets another tenant make one with its id.
func TestAnRPTIsNotOfAResourceThatCameLater(t *testing.T) {
	w := startUMA(t, nil)
	rpt := w.form(t, "/token", "alice", "secret", umaForm("permission", "beach#view")).text(t, "access_token")
	signed, err := w.snapshots.Load().Verify(rpt, issuerName, time.Now(), token.TypeRPT)
	if err != nil {
		t.Fatal(err)
	}
	issued := time.Unix(signed.IssuedAt, 0).Add(time.Minute) // iat lies a minute back
	cases := map[string]struct {
		reason  string
		created time.Time
		want    int
	}{
		"long before":      {"", issued.Add(-time.Hour), 1},
		"a moment before":  {"a client that asks at once has it", issued.Add(-time.Second), 1},
		"when it was":      {"times are true to a second", issued, 1},
		"a moment after":   {"nobody decided about it", issued.Add(time.Second), 0},
		"some time after":  {"", issued.Add(30 * time.Second), 0},
		"when it was over": {"", issued.Add(time.Hour), 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			other := fixture.Resource(t, api, "orders", "dune", "dune", func(spec *v1alpha1.ProtectedResourceSpec) { spec.ID = "beach" }, "view", "edit")
			created := *other
			created.Created = tc.created
			w.input.Resources = (*resource.Catalog)(nil).With(api, []*resource.Resource{&created})
			w.snapshots.Store(snapshot.Build(w.input))
			got := w.introspect(t, rpt, "requesting_party_token")
			list, _ := got["permissions"].([]any)
			if len(list) != tc.want || got["active"] != true {
				t.Errorf("%s: %v", tc.reason, got)
			}
		})
	}
}

// TestWhatIsTakenBackWhileATicketIsSpentIsNotGiven changes what the server knows while the API server stores that a ticket was used.
func TestWhatIsTakenBackWhileATicketIsSpentIsNotGiven(t *testing.T) {
	denied := problemOf("request_denied", "no policy grants what was asked for")
	cases := map[string]struct {
		reason string
		change func(*snapshot.Input)
		status int
		want   string
	}{
		"Nothing":             {"", func(*snapshot.Input) {}, 200, `{"result":true}`},
		"The policy":          {"", func(i *snapshot.Input) { i.Policies = fixture.Policies(t) }, 403, denied},
		"The resource":        {"", func(i *snapshot.Input) { i.Resources = nil }, 403, denied},
		"The resource server": {"", func(i *snapshot.Input) { i.Keys = i.Keys[:1] }, 400, problemOf("invalid_target", "the audience is not known here")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := startUMA(t, nil)
			ticket := w.ticket(t, nil, reads("orders/eu-1")...)
			var once sync.Once
			w.objects.Before(func() {
				once.Do(func() {
					tc.change(&w.input)
					w.snapshots.Store(snapshot.Build(w.input))
				})
			})
			w.form(t, "/token", "alice", "secret", umaForm("ticket", ticket, "response_mode", "decision")).is(t, tc.reason, tc.status, tc.want)
			if w.spent() != 1 {
				t.Error("the ticket is used up all the same")
			}
		})
	}
}

// TestTheAccessTokenGoesToNoOtherResourceServer asks for a token of UMA 1 by an access token of another resource server, and by one
// that lasts: each would be more, in the hands of who sees the RPT, than the RPT itself.
func TestTheAccessTokenGoesToNoOtherResourceServer(t *testing.T) {
	w := startUMA(t, func(options *Options, _ *Parts, _ *snapshot.Input) { options.UMA1AccessToken = true })
	entitlement := "/authz/entitlement/" + url.PathEscape(api)
	own, other := w.aat(t, "alice", "secret", api, "uma_authorization"), w.aat(t, "alice", "secret", otherAPI, "uma_authorization")
	for name, tc := range map[string]struct {
		bearer string
		want   any
	}{
		"its own":                            {own, own},
		"a token of another resource server": {other, nil},
		"a token that lasts":                 {w.recordedAAT(t), nil},
	} {
		if got := w.rpt(t, w.json(t, http.MethodGet, entitlement, tc.bearer, "").text(t, "rpt"))["accessToken"]; got != tc.want {
			t.Errorf("%s: accessToken = %v", name, got)
		}
	}
}

// recordedAAT is an access token of alice that lasts as long as its record.
func (w *umaWorld) recordedAAT(t *testing.T) string {
	t.Helper()
	const id = "0-7-abcdefghijklmnopqrstuvwxyz"
	record := fixture.AccessRecord(id, "alice", api, time.Now().Add(24*time.Hour).UTC())
	from := w.snapshots.Load()
	people := from.Providers[slices.IndexFunc(from.Providers, func(p *provider.Provider) bool { return p.Htpasswd != nil })]
	proof, err := identity.ProofOf(from, caller.Caller{Username: "alice", Provider: people.Name, Method: caller.MethodPassword}, identity.InRecord)
	if err != nil {
		t.Fatal(err)
	}
	record.Spec.Provider, record.Spec.Credential = v1alpha1.RecordedProvider{Name: proof.Provider, UID: proof.ProviderUID}, proof.Credential
	if err := w.objects.Create(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	return w.sign(t, token.TypeAccess, api, func(c map[string]any) {
		delete(c, "exp")
		c["jti"], c["scope"] = id, "uma_authorization"
	})
}
