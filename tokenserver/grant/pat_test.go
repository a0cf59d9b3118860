package grant

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const protectsService = "oauth:" + service + ":uma_protection"

// protection is a world with the resource server rs, which protects the service's resources.
type protection struct {
	world
	objects *fixture.Objects
}

func newProtection(t *testing.T, change func(*snapshot.Input)) *protection {
	t.Helper()
	p := &protection{world: newWorld(t, &authenticator{}), objects: fixture.NewObjects()}
	p.Records = p.objects.Store(t)
	rule := v1alpha1.Rule{Type: v1alpha1.TypeOAuth, Names: []v1alpha1.ResourceName{service, "other.example.com"}, Actions: []v1alpha1.Action{"uma_protection"}}
	input := snapshot.Input{
		At:       now,
		Policies: fixture.Policies(t, fixture.Cluster("rs", []v1alpha1.Subject{fixture.User("rs")}, rule, nil)),
		Keys: []snapshot.Keys{
			fixture.Key(t, "registry", v1alpha1.KeyID, now, service), fixture.Key(t, "other", v1alpha1.KeyID, now, "other.example.com"),
		},
		Providers: []*provider.Provider{fixture.Htpasswd(t, map[string]string{"rs": "secret", "bob": "secret"})},
		Resources: (*resource.Catalog)(nil).With(service, []*resource.Resource{
			fixture.Resource(t, service, "team-a", "one", "album", nil, "view", "edit"), fixture.Resource(t, service, "team-a", "two", "album", nil, "view"),
		}),
	}
	if change != nil {
		change(&input)
	}
	p.Snapshots.Store(snapshot.Build(input))
	return p
}

// token signs an access token of a user for the service.
func (p *protection) token(t *testing.T, typ string, change func(*token.AccessClaims)) string {
	t.Helper()
	claims := token.AccessClaims{
		Issuer: p.Issuer.Name, Subject: "rs", Audience: service, ID: "abcdefghijklmnopqrstuvwxyz", ClientID: "rs", Scope: protectsService,
		Expiry: now.Add(10 * time.Minute).Unix(), NotBefore: now.Add(-time.Minute).Unix(), IssuedAt: now.Add(-time.Minute).Unix(),
	}
	if change != nil {
		change(&claims)
	}
	text, err := p.Snapshots.Load().Audiences[claims.Audience].Signer.Sign(typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPAT(t *testing.T) {
	scoped := func(scope string) func(*token.AccessClaims) {
		return func(c *token.AccessClaims) { c.Scope = scope }
	}
	cases := map[string]struct {
		reason string
		typ    string
		change func(*token.AccessClaims)
		input  func(*snapshot.Input)
		want   Kind
	}{
		"A good one":                    {"", token.TypeAccess, nil, nil, ""},
		"Beside other scopes":           {"", token.TypeAccess, scoped("order:1:read " + protectsService + " nats"), nil, ""},
		"Without the scope":             {"", token.TypeAccess, scoped("order:1:read"), nil, InsufficientScope},
		"The word alone":                {"a token spells it in full", token.TypeAccess, scoped("uma_protection"), nil, InsufficientScope},
		"The scope of another audience": {"a token speaks for its own", token.TypeAccess, scoped("oauth:other.example.com:uma_protection"), nil, InsufficientScope},
		"Another action":                {"", token.TypeAccess, scoped("oauth:" + service + ":introspect"), nil, InsufficientScope},
		"The policy is gone":            {"it is asked at each use", token.TypeAccess, nil, func(i *snapshot.Input) { i.Policies = nil }, InsufficientScope},
		"Another user's":                {"", token.TypeAccess, func(c *token.AccessClaims) { c.Subject = "bob" }, nil, InsufficientScope},
		"Nobody's":                      {"", token.TypeAccess, func(c *token.AccessClaims) { c.Subject = "" }, nil, BadCredentials},
		"An RPT":                        {"it is another kind", token.TypeRPT, nil, nil, BadCredentials},
		"A ticket":                      {"it is another kind", token.TypeTicket, nil, nil, BadCredentials},
		"Expired":                       {"", token.TypeAccess, func(c *token.AccessClaims) { c.Expiry = now.Unix() }, nil, BadCredentials},
		"The user is gone":              {"", token.TypeAccess, nil, func(i *snapshot.Input) { i.Providers = nil }, BadCredentials},
		"The key lost the audience": {"", token.TypeAccess, nil, func(i *snapshot.Input) {
			i.Keys[0].Object.Spec.Audiences = []v1alpha1.Audience{"third.example.com"}
		}, BadCredentials},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var keep snapshot.Input
			p := newProtection(t, func(i *snapshot.Input) { keep = *i })
			text := p.token(t, tc.typ, tc.change)
			if tc.input != nil {
				tc.input(&keep)
				p.Snapshots.Store(snapshot.Build(keep))
			}
			s, failure := p.PAT(t.Context(), p.Snapshots.Load(), &Request{Bearer: text, Time: now})
			got := Kind("")
			if failure != nil {
				got = failure.Kind
			}
			if got != tc.want || got == "" && (s.Held.Audience != service || s.Caller.Username != "rs") {
				t.Errorf("%s got %v, %+v", tc.reason, failure, s.Caller)
			}
		})
	}
}

func TestNewTicket(t *testing.T) {
	many := make([]token.Permission, 257)
	for n := range many {
		many[n] = token.Permission{ID: "team-a/one"}
	}
	ward := map[string][]string{"ward": {"7"}}
	cases := map[string]struct {
		reason string
		asked  []token.Permission
		want   []token.Permission
		kind   Kind
	}{
		"One":                     {"", []token.Permission{{ID: "team-a/one", Scopes: []string{"view"}}}, []token.Permission{{ID: "team-a/one", Scopes: []string{"view"}}}, ""},
		"Without scopes":          {"all that it will have", []token.Permission{{ID: "team-a/one"}}, []token.Permission{{ID: "team-a/one"}}, ""},
		"Several":                 {"", []token.Permission{{ID: "team-a/two"}, {ID: "team-a/one", Claims: ward}}, []token.Permission{{ID: "team-a/two"}, {ID: "team-a/one", Claims: ward}}, ""},
		"One twice":               {"is once, with the scopes of both", []token.Permission{{ID: "team-a/one", Scopes: []string{"view"}}, {ID: "team-a/one", Scopes: []string{"edit", "view"}}}, []token.Permission{{ID: "team-a/one", Scopes: []string{"edit", "view"}}}, ""},
		"One twice, once whole":   {"", []token.Permission{{ID: "team-a/one", Scopes: []string{"view"}}, {ID: "team-a/one"}}, []token.Permission{{ID: "team-a/one"}}, ""},
		"A name is not kept":      {"who names it is not the resource server", []token.Permission{{ID: "team-a/one", Name: "x"}}, []token.Permission{{ID: "team-a/one"}}, ""},
		"Different claims":        {"which are true?", []token.Permission{{ID: "team-a/one", Claims: ward}, {ID: "team-a/one"}}, nil, InvalidRequest},
		"None":                    {"", nil, nil, InvalidRequest},
		"Too many":                {"", many, nil, InvalidRequest},
		"An unknown resource":     {"", []token.Permission{{ID: "team-a/none"}}, nil, InvalidResource},
		"A name":                  {"only ids", []token.Permission{{ID: "one"}}, nil, InvalidResource},
		"An unknown scope":        {"", []token.Permission{{ID: "team-a/two", Scopes: []string{"edit"}}}, nil, InvalidScope},
		"Claims that are none":    {"", []token.Permission{{ID: "team-a/two", Claims: map[string][]string{"": {"x"}}}}, nil, InvalidRequest},
		"Claims that are too big": {"", []token.Permission{{ID: "team-a/two", Claims: big()}}, nil, InvalidRequest},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := newProtection(t, nil)
			from := p.Snapshots.Load()
			session, failure := p.PAT(t.Context(), from, &Request{Bearer: p.token(t, token.TypeAccess, nil), Time: now})
			if failure != nil {
				t.Fatal(failure)
			}
			text, failure := p.NewTicket(t.Context(), from, &session, &Request{ID: "r", Time: now}, tc.asked)
			if (failure == nil) != (tc.kind == "") || failure != nil && failure.Kind != tc.kind {
				t.Fatalf("%s got %v", tc.reason, failure)
			}
			records := p.records(t)
			if len(records) != 1 || records[0].Grant != "permission_ticket" || records[0].Error != string(tc.kind) || records[0].Subject != "rs" {
				t.Errorf("audit: %+v", records)
			}
			if p.objects.Calls() != 0 {
				t.Error("something was stored: everybody without a token gets a ticket")
			}
			if failure != nil {
				return
			}
			verified, err := from.Verify(text, p.Issuer.Name, now, token.TypeTicket)
			if err != nil || verified.Audience != p.Issuer.Name || verified.ResourceServer != service || verified.RequestedBy != "rs" || verified.Subject != "" || verified.Expiry != now.Add(5*time.Minute).Unix() {
				t.Fatalf("ticket: %v, %+v", err, verified)
			}
			got, err := verified.Permissions()
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("%s %v (-want +got):\n%s", tc.reason, err, diff)
			}
		})
	}
}

// big is as much as a resource server may say, and more than a ticket can hold.
func big() map[string][]string {
	claims := map[string][]string{}
	for n := range 16 {
		for range 16 {
			name := strings.Repeat(string(rune('a'+n)), 64)
			claims[name] = append(claims[name], strings.Repeat("v", 256))
		}
	}
	return claims
}

func TestNoTicketsWithoutRecords(t *testing.T) {
	p := newProtection(t, nil)
	p.Records = nil
	from := p.Snapshots.Load()
	session := Session{Held: Held{Audience: service}}
	if _, failure := p.NewTicket(t.Context(), from, &session, &Request{Time: now}, []token.Permission{{ID: "team-a/one"}}); failure == nil || failure.Kind != InvalidRequest {
		t.Errorf("got %v: nobody could say that it was used", failure)
	}
}
