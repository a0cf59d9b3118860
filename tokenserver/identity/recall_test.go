package identity

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// TestRecall has the names that a token of ours could hold. Each is somebody as the providers know it now, or nobody.
func TestRecall(t *testing.T) {
	hash := hashOf(t, "secret", bcrypt.MinCost)
	named := func(name string, way v1alpha1.Verification) *provider.Provider {
		return &provider.Provider{Name: name, Kubernetes: &provider.Kubernetes{Audiences: []string{ourAudience}, Verification: way}}
	}
	accounts := func(way v1alpha1.Verification) *provider.Provider { return named("accounts", way) }
	corp := users("corp", "corp-", map[string][]byte{"alice": hash}, map[string][]string{"alice": {"corp-devs"}})
	world := func(of ...*provider.Provider) *snapshot.Snapshot {
		return snapshot.Build(snapshot.Input{Providers: of})
	}
	issued := noon.Add(-time.Minute)
	type want struct {
		Caller  caller.Caller
		Outcome string
	}
	account := caller.Caller{
		Username: builder, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated"},
		Provider: "accounts", Method: caller.MethodToken, AuthTime: issued, DetailsUnknown: true,
	}
	cases := map[string]struct {
		reason string
		from   *snapshot.Snapshot
		name   string
		want   want
	}{
		"A user": {
			"her groups are those of now, so that what is denied to a group is", world(corp), "corp-alice",
			want{caller.Caller{Username: "corp-alice", Groups: []string{"corp-devs", "system:authenticated"}, Provider: "corp", Method: caller.MethodToken, AuthTime: issued}, "in"},
		},
		"A user who is gone":                    {"nobody vouches", world(corp), "corp-bob", want{Outcome: "bad"}},
		"A user whose provider is gone":         {"nobody vouches", world(accounts(v1alpha1.VerifyOffline)), "corp-alice", want{Outcome: "bad"}},
		"Nobody":                                {"nobody has no name", world(corp), "", want{Outcome: "bad"}},
		"A ServiceAccount":                      {"its groups follow from its name", world(corp, accounts(v1alpha1.VerifyOnlinePreferred)), builder, want{account, "in"}},
		"A ServiceAccount, to be asked about":   {"it may have been deleted", world(accounts(v1alpha1.VerifyOnline)), builder, want{Outcome: "bad"}},
		"The other provider is to be asked":     {"the token names the one that vouched", world(named("other", v1alpha1.VerifyOnline), accounts(v1alpha1.VerifyOffline)), builder, want{account, "in"}},
		"The provider that vouched is gone":     {"another one of its kind has not vouched", world(named("other", v1alpha1.VerifyOffline)), builder, want{Outcome: "bad"}},
		"A user's provider of that name":        {"it vouches for no ServiceAccount", world(users("accounts", "", nil, nil), named("other", v1alpha1.VerifyOffline)), builder, want{Outcome: "bad"}},
		"A ServiceAccount without a provider":   {"nobody vouches", world(corp), builder, want{Outcome: "bad"}},
		"Another reserved name":                 {"it is no ServiceAccount", world(accounts(v1alpha1.VerifyOffline)), "system:masters", want{Outcome: "bad"}},
		"A ServiceAccount with a part too many": {"it is no ServiceAccount", world(accounts(v1alpha1.VerifyOffline)), builder + ":x", want{Outcome: "bad"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			who, err := Recall(tc.from, tc.name, "accounts", issued)
			if diff := cmp.Diff(tc.want, want{who, outcome(err)}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if _, err := ProofOf(tc.from, who, InRecord); !errors.Is(err, ErrBadCredentials) {
				t.Errorf("what was recalled can be made to last: %v", err)
			}
		})
	}
}

func TestRecallOfATokenThatNamesNoProvider(t *testing.T) {
	from := snapshot.Build(snapshot.Input{Providers: []*provider.Provider{
		{Name: "accounts", Kubernetes: &provider.Kubernetes{Audiences: []string{ourAudience}, Verification: v1alpha1.VerifyOffline}},
	}})
	if who, err := Recall(from, builder, "", noon); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("got %v, %v: nobody has vouched", who, err)
	}
}
