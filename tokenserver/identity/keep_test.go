package identity

import (
	"context"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

func (f *fakeCluster) fetched() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fetches
}

func (f *fakeCluster) goAway() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keysErr = errAway
}

// keeping runs KeepKeys on the snapshot and stops it at the end of the test.
func keeping(t *testing.T, a *Authenticator, s *snapshot.Snapshot) {
	t.Helper()
	holder := &snapshot.Holder{}
	holder.Store(s)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.KeepKeys(ctx, holder) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestKeysAreThereBeforeTheFirstToken(t *testing.T) {
	cluster := newFakeCluster(t)
	a := New(Options{Cluster: cluster})
	s := verifiedBy(v1alpha1.VerifyOffline)
	keeping(t, a, s)
	for deadline := time.Now().Add(10 * time.Second); cluster.fetched() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody fetched the keys")
		}
	}
	cluster.goAway()
	if _, err := a.Authenticate(context.Background(), s, withToken(cluster.token(t, nil)), noon); err != nil {
		t.Errorf("the first token of a server whose API server has gone away: %v", err)
	}
}

func TestKeysAreNotFetchedAgainBeforeTheyAreOld(t *testing.T) {
	cluster := newFakeCluster(t)
	keys := New(Options{Cluster: cluster}).accounts.keys
	for _, step := range []struct {
		say  string
		at   time.Duration
		want int
	}{
		{"there are none", 0, 1},
		{"they are fresh", keysFresh, 1},
		{"they are old", keysFresh + time.Second, 2},
		{"they were fetched a moment ago", keysFresh + 2*time.Second, 2},
	} {
		keys.refresh(context.Background(), noon.Add(step.at))
		if got := cluster.fetched(); got != step.want {
			t.Errorf("%s: fetched %d times, want %d", step.say, got, step.want)
		}
	}
}

func TestWhereNobodyAcceptsAccountsTheirKeysAreNotFetched(t *testing.T) {
	if acceptsAccounts(&snapshot.Snapshot{}) {
		t.Error("a snapshot without providers wants the keys of ServiceAccounts")
	}
	if !acceptsAccounts(verifiedBy(v1alpha1.VerifyOnline)) {
		t.Error("a kubernetes provider does not want the keys of ServiceAccounts")
	}
}
