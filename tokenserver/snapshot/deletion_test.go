package snapshot

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

func TestASigningKeyThatIsBeingDeletedSignsNothing(t *testing.T) {
	going, next := newKey(t, v1alpha1.KeyActive), newKey(t, v1alpha1.KeyActive)
	object := signingKey("a-going", 0, "shared", "own")
	object.DeletionTimestamp = &metav1.Time{Time: noon}
	s := Build(Input{Keys: []Keys{
		{Object: object, Ring: keyring.Ring{Keys: []keyring.Key{going}}, Known: true},
		{Object: signingKey("b-next", 1, "shared"), Ring: keyring.Ring{Keys: []keyring.Key{next}}, Known: true},
	}})
	got := map[string]string{}
	for name, a := range s.Audiences {
		got[name] = a.Signer.KeyID()
	}
	if diff := cmp.Diff(map[string]string{"shared": next.KeyID}, got); diff != "" {
		t.Errorf("audiences and what signs for them -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(Counts{Keys: 2, SigningKeys: 1, UsableSigningKeys: 1}, s.Counts); diff != "" {
		t.Errorf("counts, by which an alert says that something cannot be signed, -want +got:\n%s", diff)
	}
	if !strings.Contains(string(s.JWKS), going.KeyID) {
		t.Error("what it signed cannot be verified")
	}
}
