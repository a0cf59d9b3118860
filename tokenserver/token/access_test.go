package token

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAccessClaimsAreWhatEncodingJSONWrites compares what is appended by hand with the library.
func TestAccessClaimsAreWhatEncodingJSONWrites(t *testing.T) {
	cases := map[string]AccessClaims{
		"Nothing": {},
		"Everything": {
			Issuer: "https://auth.example.com", Subject: "alice", Audience: "https://api.example.com", Expiry: 4, NotBefore: 2, IssuedAt: 3,
			ID: "abc", ClientID: "cli", Scope: "order:1:read order:2:read,write",
			Provider: "cluster", Through: []string{"https://a.example.com", "https://b.example.com"},
		},
		"Texts that need quoting": {
			Issuer: "a\"b\\c", Subject: "<al&ice>\u2028\n", Audience: "\xff", ID: "\x00", ClientID: "é", Scope: `order:a","sub":"root:read`,
			Provider: `"`, Through: []string{"\xff", ""},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			want, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(c.AppendJSON(nil))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestApplicationClaimsStandBesideOurs(t *testing.T) {
	c := AccessClaims{
		Subject: "alice", Scope: "order:1:read", Expiry: 4,
		Application: map[string]json.RawMessage{
			"prvd": json.RawMessage(`{"permissions":415}`), "https://example.com/roles": json.RawMessage(`["a","<b>"]`),
			"number": json.RawMessage("12345678901234567890"), `odd"name`: json.RawMessage("null"),
		},
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(c.AppendJSON(nil), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]json.RawMessage{
		"iss": json.RawMessage(`""`), "sub": json.RawMessage(`"alice"`), "aud": json.RawMessage(`""`), "exp": json.RawMessage("4"),
		"nbf": json.RawMessage("0"), "iat": json.RawMessage("0"), "jti": json.RawMessage(`""`), "client_id": json.RawMessage(`""`),
		"scope": json.RawMessage(`"order:1:read"`),
	}
	for name, value := range c.Application {
		want[name] = value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Readers who take the last of two, or pass over the case of letters as encoding/json does, must not be led by a policy.
func TestAnApplicationClaimDoesNotReplaceOurs(t *testing.T) {
	c := AccessClaims{
		Subject: "alice", Expiry: 4,
		Application: map[string]json.RawMessage{"SUB": json.RawMessage(`"root"`), "sub": json.RawMessage(`"root"`), "Exp": json.RawMessage("99")},
	}
	var got Verified
	if err := json.Unmarshal(c.AppendJSON(nil), &got); err != nil {
		t.Fatal(err)
	}
	if got.Subject != "alice" || got.Expiry != 4 {
		t.Errorf("sub = %q, exp = %d", got.Subject, got.Expiry)
	}
}
