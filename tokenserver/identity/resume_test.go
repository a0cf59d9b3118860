package identity

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// sealing returns keys to make digests with.
func sealing(t *testing.T) opaque.Keys {
	t.Helper()
	keys, err := opaque.Generate(rand.Reader, noon)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestResume takes up what a password proved yesterday. Each case changes what there was then.
func TestResume(t *testing.T) {
	hash, keys := hashOf(t, "secret", bcrypt.MinCost), sealing(t)
	world := func(change ...func(*snapshot.Input)) *snapshot.Snapshot {
		in := snapshot.Input{Seals: keys, Providers: []*provider.Provider{
			users("corp", "corp-", map[string][]byte{"alice": hash, "bob": hash}, map[string][]string{"alice": {"corp-devs"}}),
		}}
		for _, c := range change {
			c(&in)
		}
		return snapshot.Build(in)
	}
	alice := caller.Caller{Username: "corp-alice", Provider: "corp", Method: caller.MethodPassword, AuthTime: noon}
	proof, err := ProofOf(world(), alice, InRecord)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := keys.Rotate(rand.Reader, noon)
	if err != nil {
		t.Fatal(err)
	}
	corp := func(change func(*provider.Provider)) func(*snapshot.Input) {
		return func(in *snapshot.Input) { change(in.Providers[0]) }
	}
	now := alice
	now.Groups = []string{"corp-devs", caller.GroupAuthenticated}
	cases := map[string]struct {
		reason   string
		change   func(*snapshot.Input)
		username string
		want     caller.Caller
		err      error
	}{
		"Nothing has changed":    {"The proof holds.", func(*snapshot.Input) {}, "corp-alice", now, nil},
		"Another file":           {"Only the user's own line counts.", corp(func(p *provider.Provider) { p.SecretVersion, p.Generation = "2", 2 }), "corp-alice", now, nil},
		"The keys were rotated":  {"Two generations match.", func(in *snapshot.Input) { in.Seals = rotated }, "corp-alice", now, nil},
		"Out of all groups":      {"Groups are those of now.", corp(func(p *provider.Provider) { p.Htpasswd.Groups = nil }), "corp-alice", func() caller.Caller { c := now; c.Groups = []string{caller.GroupAuthenticated}; return c }(), nil},
		"Another password":       {"Who changes a password wants the old logins gone.", corp(func(p *provider.Provider) { p.Htpasswd.Hashes["alice"] = hashOf(t, "secret", bcrypt.MinCost) }), "corp-alice", caller.Caller{}, ErrBadCredentials},
		"The user is gone":       {"Nobody vouches for them.", corp(func(p *provider.Provider) { delete(p.Htpasswd.Hashes, "alice") }), "corp-alice", caller.Caller{}, ErrBadCredentials},
		"Another user":           {"Bob's line has the same hash.", func(*snapshot.Input) {}, "corp-bob", caller.Caller{}, ErrBadCredentials},
		"The provider is gone":   {"Nobody vouches for them.", func(in *snapshot.Input) { in.Providers = nil }, "corp-alice", caller.Caller{}, ErrBadCredentials},
		"Made anew":              {"Another object of the name vouches for others.", corp(func(p *provider.Provider) { p.UID = "other" }), "corp-alice", caller.Caller{}, ErrBadCredentials},
		"Another has the prefix": {"It may have a user of that name.", corp(func(p *provider.Provider) { p.Name = "other" }), "corp-alice", caller.Caller{}, ErrBadCredentials},
		"It cannot serve":        {"It may tomorrow: nothing is lost.", func(in *snapshot.Input) { in.Providers, in.Prefixes = nil, []string{"corp-"} }, "corp-alice", caller.Caller{}, ErrUnavailable},
		"No keys":                {"Nothing can be compared.", func(in *snapshot.Input) { in.Seals = opaque.Keys{} }, "corp-alice", caller.Caller{}, ErrUnavailable},
		"A ServiceAccount":       {"No password proved it.", func(*snapshot.Input) {}, "system:serviceaccount:a:b", caller.Caller{}, ErrBadCredentials},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Resume(world(tc.change), tc.username, proof, InRecord, noon)
			if !errors.Is(err, tc.err) {
				t.Errorf("%s got error %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.Comparer(time.Time.Equal)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestAProofIsOfOneUse has who puts the digest that a service saw in a token into a record, and the reverse.
func TestAProofIsOfOneUse(t *testing.T) {
	from := snapshot.Build(snapshot.Input{Seals: sealing(t), Providers: []*provider.Provider{
		users("plain", "", map[string][]byte{"alice": hashOf(t, "secret", bcrypt.MinCost)}, nil),
	}})
	alice := caller.Caller{Username: "alice", Provider: "plain", Method: caller.MethodPassword}
	digests := map[string]bool{}
	for _, made := range []Use{InRecord, InClaim} {
		proof, err := ProofOf(from, alice, made)
		if err != nil {
			t.Fatal(err)
		}
		digests[proof.Credential] = true
		for _, taken := range []Use{InRecord, InClaim} {
			_, err := Resume(from, "alice", proof, taken, noon)
			if made == taken && err != nil || made != taken && !errors.Is(err, ErrBadCredentials) {
				t.Errorf("made for %s and taken for %s: %v", made, taken, err)
			}
		}
	}
	if len(digests) != 2 {
		t.Errorf("%d digests: who has both can tell that they are of one user", len(digests))
	}
}

// TestWhoHasNoProof are callers whose proof cannot be taken up again: they get no refresh token.
func TestWhoHasNoProof(t *testing.T) {
	from := snapshot.Build(snapshot.Input{Seals: sealing(t), Providers: []*provider.Provider{
		users("plain", "", map[string][]byte{"alice": hashOf(t, "secret", bcrypt.MinCost)}, nil),
	}})
	cases := map[string]caller.Caller{
		"nobody":           caller.Anonymous(),
		"a ServiceAccount": {Username: caller.ServiceAccountUser("a", "b"), Method: caller.MethodServiceAccount},
		"by a token":       {Username: "alice", Provider: "plain", Method: "jwt"},
		"of elsewhere":     {Username: "alice", Provider: "other", Method: caller.MethodPassword},
	}
	for name, who := range cases {
		t.Run(name, func(t *testing.T) {
			if proof, err := ProofOf(from, who, InRecord); !errors.Is(err, ErrBadCredentials) || proof != (Proof{}) {
				t.Errorf("got %v, %v", proof, err)
			}
		})
	}
}
