package keyring_test

import (
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// TestForgedStatusCannotBreakTheKeySet is what somebody could write who may write the status and not the Secret.
func TestForgedStatusCannotBreakTheKeySet(t *testing.T) {
	later := now.Add(1000 * time.Hour)
	const never = "9999-12-31T23:59:59Z"
	t.Run("two keys that sign", func(t *testing.T) {
		ring, _ := rotated(t)
		status := statusOf(ring)
		for i := range status.Keys {
			status.Keys[i].State = v1alpha1.KeyActive
		}
		if !keyring.Behind(ring, status) {
			t.Fatal("the status is not newer")
		}
		recalled := keyring.Recall(ring, status, later)
		decoded, err := keyring.Decode(encoded(t, recalled))
		if err != nil {
			t.Fatalf("nobody can read it any more: %v", err)
		}
		if _, signs := decoded.Active(); !signs {
			t.Error("no key signs")
		}
	})
	t.Run("times in the future", func(t *testing.T) {
		ring, _ := rotated(t)
		p := params(v1alpha1.RotationAutomatic)
		status := statusOf(ring)
		for i := range status.Keys {
			k := &status.Keys[i]
			k.CreatedTime, k.PublishedTime, k.ActivatedTime, k.RetiredTime = never, never, never, never
		}
		for _, got := range []keyring.Ring{keyring.Recover(status, later, 7), keyring.Recall(keyring.Ring{Generation: 1}, status, later)} {
			if len(got.Keys) != len(ring.Keys) {
				t.Fatalf("%d keys", len(got.Keys))
			}
			for _, k := range got.Keys {
				if end, most := p.RemovalTime(k), later.Add(p.MaxStaleness+24*time.Hour+2*p.ClockSkew); end.After(most) {
					t.Errorf("key %s stays until %s, want %s at most", k.Thumbprint, end, most)
				}
			}
		}
		standby := ring.Keys[len(ring.Keys)-1]
		status.Keys[len(status.Keys)-1].State = v1alpha1.KeyActive
		recalled := keyring.Recall(keyring.Ring{Generation: 1, Keys: []keyring.Key{standby}}, status, later)
		signs, ok := recalled.Active()
		if !ok || signs.Activated.After(later) || signs.Published.After(later) {
			t.Errorf("key %s signs since %s: it would never be rotated", signs.Thumbprint, signs.Activated)
		}
	})
}
