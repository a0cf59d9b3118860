package issue

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

func rule(typ string, name v1alpha1.ResourceName, actions ...v1alpha1.Action) v1alpha1.Rule {
	return v1alpha1.Rule{Type: typ, Names: []v1alpha1.ResourceName{name}, Actions: actions}
}

func claiming(name, value string) func(*v1alpha1.ClusterAccessPolicySpec) {
	return func(spec *v1alpha1.ClusterAccessPolicySpec) {
		spec.Claims = []v1alpha1.Claim{{Name: name, Value: v1alpha1.ClaimValue{Raw: []byte(value)}}}
	}
}

// accessClaims verifies an access token and returns what it says.
func accessClaims(t *testing.T, from *snapshot.Snapshot, text string) map[string]any {
	t.Helper()
	verified, err := from.Verify(text, "https://auth.example.com", now, token.TypeAccess)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(verified.Claims, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAnAccessTokenHoldsScopesAndClaims(t *testing.T) {
	from := world(t,
		fixture.Cluster("orders", users("alice"), rule("order", "eu/**", "read", "write"), claiming("prvd", `{"b":1, "a":"<x>"}`)),
		fixture.Cluster("same", users("alice"), rule("oauth", "https://api.example.com", "introspect"), claiming("prvd", `{"a":"<x>","b":1}`)),
		fixture.Cluster("nats", users("alice"), rule("nats", ">", "*"), nil),
		fixture.Cluster("repositories", users("alice"), fixture.Repositories("**", "pull"), nil),
		fixture.Cluster("bob", users("bob"), rule("order", "**", "*"), claiming("admin", "true")),
	)
	i, read := issuer(t)
	ask := request(t, from, alice(), "order:eu/1:read,delete order:us/1:read nats:orders:publish oauth:https://api.example.com:introspect,revoke repository:app:pull")
	issued, err := i.Access(ask)
	if err != nil {
		t.Fatal(err)
	}
	got, second := accessClaims(t, from, issued.Text), float64(now.Unix())
	id, _ := got["jti"].(string)
	if len(id) != 26 {
		t.Errorf("jti = %q", id)
	}
	delete(got, "jti")
	want := map[string]any{
		"iss": "https://auth.example.com", "sub": "alice", "aud": service, "client_id": "alice",
		"exp": second + 900, "nbf": second - 60, "iat": second - 60,
		"scope": "oauth:https://api.example.com:introspect order:eu/1:read repository:app:pull",
		"prvd":  map[string]any{"a": "<x>", "b": 1.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if _, err := from.Verify(issued.Text, "https://auth.example.com", now, token.TypeRegistry); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("it was taken for a registry token: %v", err)
	}
	if record := read(); record.TokenID != id || record.Outcome != audit.Issued || len(record.Granted) != 3 {
		t.Errorf("record = %+v", record)
	}
}

func TestTheClientThatWasProvedIsNamed(t *testing.T) {
	from := world(t)
	i, _ := issuer(t)
	ask := request(t, from, alice())
	ask.Client, ask.ClientID = "gateway", "claimed"
	issued, err := i.Access(ask)
	if err != nil {
		t.Fatal(err)
	}
	if got := accessClaims(t, from, issued.Text); got["client_id"] != "gateway" || got["scope"] != "" || got["sub"] != "alice" {
		t.Errorf("claims = %v", got)
	}
}

func TestNoAccessTokenOutlivesWhatItComesFrom(t *testing.T) {
	end := func(d time.Duration) time.Time { return now.Truncate(time.Second).Add(d) }
	claimUntil := func(d time.Duration) *v1alpha1.ClusterAccessPolicy {
		return fixture.Cluster("a", users("alice"), rule("order", "1", "read"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
			claiming("prvd", "1")(spec)
			until(end(d))(spec)
		})
	}
	cases := map[string]struct {
		reason   string
		policy   *v1alpha1.ClusterAccessPolicy
		notAfter time.Time
		want     time.Duration
		err      error
	}{
		"Its own lifetime":             {"nothing ends before", claimUntil(time.Hour), time.Time{}, fixture.Lifetime, nil},
		"A claim that ends":            {"a claim is a right, too", claimUntil(5 * time.Minute), time.Time{}, 5 * time.Minute, nil},
		"The token that it came from":  {"else an exchange would prolong it", claimUntil(time.Hour), end(2 * time.Minute), 2 * time.Minute, nil},
		"The earlier of both":          {"both bound it", claimUntil(3 * time.Minute), end(4 * time.Minute), 3 * time.Minute, nil},
		"What it came from, too short": {"less than a minute is an error to clients", claimUntil(time.Hour), end(59 * time.Second), 0, ErrEnds},
		"A claim that ends too soon":   {"without the claim it could mean more", claimUntil(59 * time.Second), time.Time{}, 0, ErrEnds},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			from := world(t, tc.policy)
			i, _ := issuer(t)
			ask := request(t, from, alice())
			ask.NotAfter = tc.notAfter
			issued, err := i.Access(ask)
			if !errors.Is(err, tc.err) || issued.ExpiresIn != tc.want {
				t.Fatalf("%s: %s, %v", tc.reason, issued.ExpiresIn, err)
			}
			if err != nil {
				return
			}
			if got := accessClaims(t, from, issued.Text)["exp"]; got != float64(end(tc.want).Unix()) {
				t.Errorf("%s: exp = %v", tc.reason, got)
			}
		})
	}
}

func TestPoliciesThatContradictEachOtherGiveNoAccessToken(t *testing.T) {
	from := world(t,
		fixture.Cluster("one", users("alice"), rule("order", "1", "read"), claiming("prvd", "1")),
		fixture.Cluster("two", users("alice"), rule("order", "2", "read"), claiming("prvd", "2")),
	)
	i, _ := issuer(t)
	if issued, err := i.Access(request(t, from, alice())); !errors.Is(err, ErrConflict) || issued.Text != "" {
		t.Errorf("token %q, error %v", issued.Text, err)
	}
	if _, err := i.Registry(request(t, from, alice())); err != nil {
		t.Errorf("a registry token has no such claims: %v", err)
	}
}

func TestAnAccessTokenThatIsTooLong(t *testing.T) {
	var policies []*v1alpha1.ClusterAccessPolicy
	for _, name := range []string{"a", "b"} {
		big := make([]byte, 3500)
		for n := range big {
			big[n] = 'x'
		}
		policies = append(policies, fixture.Cluster(name, users("alice"), rule("order", "1", "read"), claiming(name, `"`+string(big)+`"`)))
	}
	i, _ := issuer(t)
	if issued, err := i.Access(request(t, world(t, policies...), alice())); !errors.Is(err, ErrTooLarge) || issued.Text != "" {
		t.Errorf("%d bytes, error %v", len(issued.Text), err)
	}
}
