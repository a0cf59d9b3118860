package snapshot

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// TestServes holds that a server acknowledges what is or will be used, and nothing that it does not publish.
func TestServes(t *testing.T) {
	var keys []keyring.Key
	byState := map[v1alpha1.KeyState]string{}
	for _, state := range []v1alpha1.KeyState{v1alpha1.KeyPending, v1alpha1.KeyPublished, v1alpha1.KeyActive, v1alpha1.KeyRetired, v1alpha1.KeyRevoked} {
		key, err := keyring.GenerateKey(rand.Reader, keyring.Params{Algorithm: v1alpha1.ES256, Format: v1alpha1.Thumbprint, TokenLifetime: time.Hour}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		key.State = state
		keys, byState[state] = append(keys, key), key.Thumbprint
	}
	object := func(name string) *v1alpha1.SigningKey {
		return &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	s := Build(Input{Keys: []Keys{
		{Object: object("a"), Ring: keyring.Ring{Keys: keys}, Known: true},
		{Object: object("b"), Ring: keyring.Ring{Keys: keys[:1]}, Known: true}, // a key counts once
		{Object: object("c"), Ring: keyring.Ring{}, Fault: "the Secret is not there"},
	}})
	want := []string{byState[v1alpha1.KeyPending], byState[v1alpha1.KeyPublished], byState[v1alpha1.KeyActive]}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.Serves); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(s.JWKS, &set); err != nil {
		t.Fatal(err)
	}
	for _, thumbprint := range s.Serves {
		if len(set.Key(thumbprint)) != 1 {
			t.Errorf("%s is acknowledged and is not in the JWKS", thumbprint)
		}
	}
}

func TestStoringTellsWhoWaits(t *testing.T) {
	var holder Holder
	stored := holder.Stored()
	s := Build(Input{})
	holder.Store(s)
	holder.Store(s) // nobody has looked yet, and nobody is waited for
	<-stored
	if holder.Load() != s {
		t.Error("told of a snapshot that is not there")
	}
	select {
	case <-stored:
		t.Error("told twice of what was there at the first look")
	default:
	}
}
