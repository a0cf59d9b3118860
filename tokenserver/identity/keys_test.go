package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func newFuzzKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func TestKeysOfTheCluster(t *testing.T) {
	cluster := newFakeCluster(t)
	a := New(Options{Cluster: cluster})
	s := verifiedBy(v1alpha1.VerifyOffline)
	try := func(now time.Time, token string) string {
		_, err := a.Authenticate(context.Background(), s, withToken(token), now)
		return outcome(err)
	}
	first := cluster.token(t, nil)
	expect := func(what, want, got string, fetches int) {
		t.Helper()
		if want != got || fetches != cluster.fetches {
			t.Errorf("%s: got %s after %d fetches, want %s after %d", what, got, cluster.fetches, want, fetches)
		}
	}
	cluster.keysErr = errAway
	expect("at a cold start with the API server away", "unavailable", try(noon, first), 1)
	expect("asked again at once", "unavailable", try(noon.Add(time.Millisecond), first), 1)
	cluster.keysErr = nil
	expect("with the API server there", "in", try(noon.Add(keysRetry), first), 2)

	cluster.kid, cluster.key = "cluster-2", newECDSA(t)
	second := cluster.token(t, nil)
	expect("a new key within the cooldown", "bad", try(noon.Add(keysRetry+time.Second), second), 2)
	expect("a new key after the cooldown", "in", try(noon.Add(keysRetry+keysCooldown), second), 3)
	expect("a key that the cluster has dropped", "bad", try(noon.Add(keysRetry+keysCooldown+time.Second), first), 3)

	cluster.keysErr = errAway
	late := noon.Add(keysRetry + 2*keysCooldown)
	expect("an unknown key with the API server away", "unavailable", try(late, first), 4)
	expect("a known key with the API server away", "in", try(late, second), 4)
}

func TestOldKeysAreFetchedAnewBesideTheRequests(t *testing.T) {
	cluster := newFakeCluster(t)
	a := New(Options{Cluster: cluster})
	keys := a.accounts.keys
	if _, _, err := keys.find(context.Background(), "cluster-1", noon); err != nil {
		t.Fatal(err)
	}
	// The key is withdrawn; the first request after that still finds it and has the set fetched.
	later := noon.Add(keysFresh + time.Second)
	cluster.mu.Lock()
	cluster.kid = "cluster-2"
	cluster.mu.Unlock()
	if _, _, err := keys.find(context.Background(), "cluster-1", later); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, _, err := keys.find(context.Background(), "cluster-1", later)
		if errors.Is(err, errUnknownKey) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the withdrawn key is still there: %v", err)
		}
	}
}

// TestManyUnknownKeysAreOneFetch has requests that decided to fetch before another's fetch ended, and begin after it.
func TestManyUnknownKeysAreOneFetch(t *testing.T) {
	for name, err := range map[string]error{"that succeeds": nil, "that fails": errAway} {
		t.Run(name, func(t *testing.T) {
			cluster := newFakeCluster(t)
			cluster.keysErr = err
			keys := New(Options{Cluster: cluster}).accounts.keys
			var results []error
			for range 10 {
				results = append(results, (<-keys.begin(context.Background(), time.Time{}, noon)).Err)
			}
			for _, got := range results {
				if !errors.Is(got, err) {
					t.Errorf("got the error %v, want %v", got, err)
				}
			}
			if diff := cmp.Diff(1, cluster.fetched()); diff != "" {
				t.Errorf("fetches -want +got:\n%s", diff)
			}
		})
	}
}

func TestDecodeKeys(t *testing.T) {
	const ec = `{"kty":"EC","crv":"P-256","kid":"good","x":"m7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q","y":"dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc"}`
	cases := map[string]struct {
		reason string
		args   string
		want   []string
	}{
		"a key":                 {"It is used.", `{"keys":[` + ec + `]}`, []string{"good"}},
		"a key of a new kind":   {"It must not take the others with it.", `{"keys":[{"kty":"NEW","kid":"x"},` + ec + `]}`, []string{"good"}},
		"a shared secret":       {"With it anyone who reads the set could sign.", `{"keys":[{"kty":"oct","kid":"x","k":"AAAA"}]}`, nil},
		"a key without an id":   {"Nothing could name it.", `{"keys":[{"kty":"EC","crv":"P-256","x":"m7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q","y":"dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc"}]}`, nil},
		"no keys":               {"It must not replace a good set.", `{"keys":[]}`, nil},
		"something else":        {"It must not replace a good set.", `<html>`, nil},
		"a point off the curve": {"It is no key.", `{"keys":[{"kty":"EC","crv":"P-256","kid":"x","x":"AAAA","y":"AAAA"}]}`, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			byID, err := decodeKeys([]byte(tc.args))
			var got []string
			for id := range byID {
				got = append(got, id)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			if (err == nil) != (tc.want != nil) {
				t.Errorf("%s\ngot the error %v", tc.reason, err)
			}
		})
	}
}

func FuzzDecodeKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(_ *testing.T, document []byte) { _, _ = decodeKeys(document) })
}
