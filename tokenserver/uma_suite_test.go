package tokenserver

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/test/issuer"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const umaGrant = "urn:ietf:params:oauth:grant-type:uma-ticket"

// umaWorld is the world of OAuth with protected resources. Alice may read and write all orders, and has photos of her own; bob may
// read the order eu-2 if the resource server says that he is of ward 7, or an issuer says so; the gateway and rs have nothing.
type umaWorld struct {
	*oauthWorld
	hub *issuer.Issuer
	// owners are who were asked for what.
	owners *owners
}

// owners is where requests to owners go.
type owners struct {
	mu    sync.Mutex
	asked []string
	err   error
}

// Submit implements permission.Requests.
func (o *owners) Submit(_ context.Context, requester string, r *resource.Resource, scopes []string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.asked = append(o.asked, requester+" "+r.ID+" "+strings.Join(scopes, ","))
	}
	return o.err
}

func (o *owners) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	asked := o.asked
	o.asked = nil
	return asked
}

func protected(t testing.TB) []*resource.Resource {
	t.Helper()
	named := func(name, uri string) func(*v1alpha1.ProtectedResourceSpec) {
		return func(spec *v1alpha1.ProtectedResourceSpec) {
			spec.DisplayName = name
			if uri != "" {
				spec.URIs = []v1alpha1.ResourceURI{v1alpha1.ResourceURI(uri)}
			}
		}
	}
	return []*resource.Resource{
		fixture.Resource(t, api, "orders", "eu-1", "order", named("Order 1", "/orders/{id}"), "read", "write", "delete"),
		fixture.Resource(t, api, "orders", "eu-2", "order", named("Order 2", ""), "read"),
		fixture.Resource(t, api, "photos", "beach", "album", func(spec *v1alpha1.ProtectedResourceSpec) {
			spec.ID, spec.DisplayName, spec.Owner, spec.OwnerManagedAccess = "beach", "The beach", "alice", v1alpha1.Allowed
		}, "view", "edit"),
		fixture.Resource(t, api, "photos", "vault", "vault", nil, "open"),
	}
}

// startUMA runs the world; change may be nil.
func startUMA(t testing.TB, change func(*Options, *Parts, *snapshot.Input)) *umaWorld {
	t.Helper()
	w := &umaWorld{hub: issuer.New(t), owners: &owners{}}
	w.oauthWorld = startOAuth(t, func(options *Options, parts *Parts, input *snapshot.Input) {
		options.UMA, parts.Requests = true, w.owners
		github := w.hub.Provider(fixture.Namespace, "github", "gh:", func(s *v1alpha1.JWTProvider) {
			s.ClaimMappings.Username = v1alpha1.ClaimOrExpression{Expression: "claims.repository"}
			s.ClaimValidationRules = []v1alpha1.ClaimValidationRule{{Claim: "repository_owner_id", RequiredValue: "65"}}
		})
		compiled, problems := provider.Compile(github, nil)
		if compiled == nil {
			t.Fatal(problems)
		}
		input.Providers = append(input.Providers, compiled)
		ward := func(spec *v1alpha1.ClusterAccessPolicySpec) {
			spec.When = &v1alpha1.When{Expression: `"ward" in request.claims && request.claims["ward"].exists(w, w == "7")`}
		}
		policies := fixture.Policies(t, append(oauthPolicies(),
			fixture.Cluster("ward", users("bob", "gh:octo-org/octo-repo"), typed("order", "eu-2", "read"), ward),
			fixture.Cluster("protects", users("rs"), oauthRule(api, "uma_protection"), nil))...)
		resources := protected(t)
		input.Policies = fixture.Owners(policies, resources...)
		input.Resources = input.Resources.With(api, resources)
		other := fixture.Resource(t, otherAPI, "orders", "us-1", "order", nil, "read")
		input.Resources = input.Resources.With(otherAPI, []*resource.Resource{other})
		if change != nil {
			change(options, parts, input)
		}
		authenticator, ok := parts.Authenticator.(*identity.Authenticator)
		if !ok {
			t.Fatal("another authenticator")
		}
		parts.Background = func(ctx context.Context) error { return authenticator.KeepKeys(ctx, parts.Snapshots) }
	})
	return w
}

// ticket signs a permission ticket of the API as the protection API would have it; change may be nil.
func (w *umaWorld) ticket(t testing.TB, change func(*token.TicketClaims), permissions ...token.Permission) string {
	t.Helper()
	now := time.Now().Unix()
	id, err := token.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claims := token.TicketClaims{
		Issuer: issuerName, ResourceServer: api, RequestedBy: "rs", ID: id, Expiry: now + 300, NotBefore: now - 60, IssuedAt: now - 60, Permissions: permissions,
	}
	if change != nil {
		change(&claims)
	}
	text, err := w.snapshots.Load().Audiences[claims.ResourceServer].Signer.Sign(token.TypeTicket, claims)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func reads(ids ...string) []token.Permission {
	var list []token.Permission
	for _, id := range ids {
		list = append(list, token.Permission{ID: id, Scopes: []string{"read"}})
	}
	return list
}

// aat is an access token of a user for the API, with a scope.
func (w *umaWorld) aat(t testing.TB, user, password, audience, scope string) string {
	t.Helper()
	return w.form(t, "/token", user, password, values("grant_type", "client_credentials", "audience", audience, "scope", scope)).text(t, "access_token")
}

// umaForm is a form of the grant for the API.
func umaForm(pairs ...string) url.Values {
	form := values(append([]string{"grant_type", umaGrant}, pairs...)...)
	if !form.Has("ticket") && !form.Has("audience") {
		form.Set("audience", api)
	}
	return form
}

// rpt verifies the requesting party token of an answer, and returns its claims without those that differ each time.
func (w *umaWorld) rpt(t testing.TB, text string) map[string]any {
	t.Helper()
	verified, err := w.snapshots.Load().Verify(text, issuerName, time.Now(), token.TypeRPT)
	if err != nil {
		t.Fatal(err)
	}
	got := fields(t, verified.Claims)
	for _, varies := range []string{"exp", "nbf", "iat", "jti"} {
		if got[varies] == nil {
			t.Errorf("%s is missing in %v", varies, got)
		}
		delete(got, varies)
	}
	return got
}

func decoded(t testing.TB, text string) any {
	t.Helper()
	var got any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// json sends JSON with a bearer; an empty one is nobody.
func (w *umaWorld) json(t testing.TB, method, path, bearer, body string) reply {
	t.Helper()
	request, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	return w.do(t, request)
}

// spent says whether a ticket is used up.
func (w *umaWorld) spent() int {
	return len(slices.DeleteFunc(w.objects.Revocations(), func(r *v1alpha1.TokenRevocation) bool { return r.Spec.Token == nil }))
}
