package token

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func rpt() RPTClaims {
	return RPTClaims{
		AccessClaims: AccessClaims{
			Issuer: "https://auth.example.com", Subject: "alice", Audience: "https://api.example.com", Expiry: 4, NotBefore: 2, IssuedAt: 3,
			ID: "abc", ClientID: "cli", Scope: "order:1:read", Application: map[string]json.RawMessage{"prvd": json.RawMessage(`{"permissions":415}`)},
		},
		Permissions: []Permission{
			{ID: "team-a/one", Name: `The "first" <one>`, Scopes: []string{"view", "edit"}, Claims: map[string][]string{"b": {"2", "3"}, "a": {"1"}}},
			{ID: "two", Scopes: []string{"view"}},
		},
	}
}

func TestRequestingPartyTokens(t *testing.T) {
	const base = `{"prvd":{"permissions":415},"iss":"https://auth.example.com","sub":"alice","aud":"https://api.example.com",` +
		`"exp":4,"nbf":2,"iat":3,"jti":"abc","client_id":"cli",`
	one := rpt()
	cases := map[string]struct {
		reason string
		claims Claims
		want   string
	}{
		"An RPT": {
			"there is no scope in it: introspection must not have one", one,
			base + `"authorization":{"permissions":[{"rsid":"team-a/one","rsname":"The \"first\" \u003cone\u003e","scopes":["view","edit"],` +
				`"claims":{"a":["1"],"b":["2","3"]}},{"rsid":"two","scopes":["view"]}]}}`,
		},
		"An RPT that allows nothing": {
			"a list is a list", RPTClaims{AccessClaims: one.AccessClaims}, base + `"authorization":{"permissions":[]}}`,
		},
		"Keycloak's": {
			"", RPTClaims{AccessClaims: one.AccessClaims, Permissions: one.Permissions[1:], Keycloak: true},
			base + `"typ":"Bearer","azp":"cli","authorization":{"permissions":[{"rsid":"two","scopes":["view"]}]}}`,
		},
		"UMA 1": {
			"as Keycloak had it", UMA1Claims{RPTClaims: one},
			base + `"typ":"kc_ett","azp":"cli","permissions":[{"resource_set_id":"team-a/one","resource_set_name":"The \"first\" \u003cone\u003e",` +
				`"scopes":["view","edit"]},{"resource_set_id":"two","scopes":["view"]}]}`,
		},
		"UMA 1 with the access token": {
			"only where that is wanted", UMA1Claims{RPTClaims: RPTClaims{AccessClaims: one.AccessClaims}, AccessToken: "a.b.c"},
			base + `"typ":"kc_ett","azp":"cli","permissions":[],"accessToken":"a.b.c"}`,
		},
		"A ticket": {
			"it speaks for nobody",
			TicketClaims{Issuer: "i", ResourceServer: "a", RequestedBy: "rs", Expiry: 3, NotBefore: 1, IssuedAt: 2, ID: "t", Permissions: one.Permissions[1:]},
			`{"iss":"i","aud":"i","exp":3,"nbf":1,"iat":2,"jti":"t","tokenwright.dev/resource_server":"a","tokenwright.dev/requested_by":"rs",` +
				`"tokenwright.dev/permissions":[{"rsid":"two","scopes":["view"]}]}`,
		},
		"A ticket of a ServiceAccount": {
			"its name does not say who vouched for it",
			TicketClaims{Issuer: "i", ResourceServer: "a", RequestedBy: "system:serviceaccount:a:b", Provider: "cluster", ID: "t"},
			`{"iss":"i","aud":"i","exp":0,"nbf":0,"iat":0,"jti":"t","tokenwright.dev/resource_server":"a",` +
				`"tokenwright.dev/requested_by":"system:serviceaccount:a:b","tokenwright.dev/provider":"cluster","tokenwright.dev/permissions":[]}`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, string(tc.claims.AppendJSON(nil))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestPermissionsAreReadBack(t *testing.T) {
	one := rpt()
	without := []Permission{{ID: "team-a/one", Name: `The "first" <one>`, Scopes: []string{"view", "edit"}}, {ID: "two", Scopes: []string{"view"}}}
	cases := map[string]struct {
		reason, typ, claims string
		want                []Permission
		wrong               bool
	}{
		"An RPT":                      {"", TypeRPT, string(one.AppendJSON(nil)), one.Permissions, false},
		"UMA 1":                       {"it says nothing of claims", TypeRPT, string(UMA1Claims{RPTClaims: one}.AppendJSON(nil)), without, false},
		"A ticket":                    {"", TypeTicket, string(TicketClaims{Permissions: one.Permissions}.AppendJSON(nil)), one.Permissions, false},
		"A ticket as an RPT":          {"what is asked for is not granted", TypeRPT, string(TicketClaims{Permissions: one.Permissions}.AppendJSON(nil)), nil, false},
		"An RPT as a ticket":          {"", TypeTicket, string(one.AppendJSON(nil)), nil, false},
		"An access token":             {"there are none", TypeAccess, `{"scope":"order:1:read"}`, nil, false},
		"Another letter case":         {"a claim that a policy gave is not ours", TypeRPT, `{"Permissions":[{"rsid":"x"}],"AUTHORIZATION":{"permissions":[{"rsid":"y"}]}}`, nil, false},
		"Without an id":               {"it would be of every resource, or of none", TypeRPT, `{"permissions":[{"scopes":["view"]}]}`, nil, true},
		"In a ticket, without an id":  {"", TypeTicket, `{"tokenwright.dev/permissions":[{"scopes":["view"]}]}`, nil, true},
		"Of another form":             {"", TypeRPT, `{"permissions":"all"}`, nil, true},
		"In a ticket of another form": {"", TypeTicket, `{"tokenwright.dev/permissions":"all"}`, nil, true},
		"Scopes that are none":        {"", TypeRPT, `{"authorization":{"permissions":[{"rsid":"x","scopes":"view"}]}}`, nil, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := (&Verified{Type: tc.typ, Claims: json.RawMessage(tc.claims)}).Permissions()
			if (err != nil) != tc.wrong {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if tc.wrong {
				return
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// FuzzPermission holds that what is written is what encoding/json would write, and is read back as it was.
func FuzzPermission(f *testing.F) {
	f.Add("team-a/one", "The first", "view edit", "ip", "10.0.0.1")
	f.Add("<", `"`, " ", "\x00", "\xff")
	f.Add("halves of one letter", "0", "\xcd", "\xbc", "0")
	f.Fuzz(func(t *testing.T, id, name, scopes, claim, value string) {
		p := Permission{ID: id, Name: name, Scopes: strings.Fields(scopes)}
		if claim != "" {
			p.Claims = map[string][]string{claim: {value}}
		}
		got := p.AppendJSON(nil)
		want, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("wrote %s, and encoding/json writes %s", got, want)
		}
		if id == "" || !utf8.ValidString(strings.Join([]string{id, name, scopes, claim, value}, ",")) {
			return
		}
		back, err := (&Verified{Claims: RPTClaims{Permissions: []Permission{p}}.AppendJSON(nil)}).Permissions()
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Scopes) == 0 {
			p.Scopes = nil
		}
		if diff := cmp.Diff([]Permission{p}, back); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
