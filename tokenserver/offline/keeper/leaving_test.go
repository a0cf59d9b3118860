package keeper

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// A SigningKey whose manifest is gone: by mistake, or for good.
func TestAManifestThatIsGone(t *testing.T) {
	key := signingKey("registry", nil)
	w := newWorld(t, key)
	w.keep()
	active, authorities, uid := w.active("registry"), w.file("public", "registry-keys", "ca.crt"), w.keyInStore("registry").UID

	w.keys = nil
	w.keep()
	if gone := w.keyInStore("registry"); gone == nil || gone.DeletionTimestamp.IsZero() || gone.UID != uid {
		t.Fatalf("the server is not told that it ends: %+v", gone)
	}
	if !slices.Contains(w.published("registry-keys"), active) {
		t.Error("its tokens live, and the key is not public")
	}
	w.start()
	w.keep()
	if gone := w.keyInStore("registry"); gone == nil || gone.DeletionTimestamp.IsZero() {
		t.Error("after a restart its tokens live, and the server does not know their key")
	}
	w.until(begin.Add(10*time.Minute), nil)
	if w.keyInStore("registry") != nil || len(w.store.Names(secretKind)) > 0 {
		t.Error("its last token is dead, and it is still there")
	}
	if _, err := os.Lstat(filepath.Join(w.path, "public", "registry-keys")); err == nil {
		t.Error("it is still published")
	}
	w.start()
	w.keep()
	if w.keyInStore("registry") != nil {
		t.Error("a restart brought it back")
	}

	w.keys = []*v1alpha1.SigningKey{key}
	w.keep()
	if w.active("registry") != active || w.keyInStore("registry").UID == uid {
		t.Error("it came back with other keys, or as an object that the server knows as ending")
	}
	w.verify("registry", authorities)
	if w.file("public", "registry-keys", "ca.crt") != authorities {
		t.Error("it came back under another certificate authority")
	}
}

func TestAManifestThatIsGoneForAMoment(t *testing.T) {
	key := signingKey("registry", nil)
	w := newWorld(t, key)
	w.keep()
	active, uid := w.active("registry"), w.keyInStore("registry").UID
	w.keys = nil
	w.keep()
	w.keys = []*v1alpha1.SigningKey{key}
	w.keep()
	back := w.keyInStore("registry")
	if w.active("registry") != active || !back.DeletionTimestamp.IsZero() || back.UID == uid {
		t.Errorf("it did not come back: %+v", back.ObjectMeta)
	}
	w.start()
	w.keep()
	if !w.keyInStore("registry").DeletionTimestamp.IsZero() {
		t.Error("after a restart it is gone again")
	}
	// It goes once more, while no server looks: that is not the time at which it went before.
	w.stop()
	w.now, w.keys = w.now.Add(30*time.Minute), nil
	w.start()
	w.keep()
	if w.keyInStore("registry") == nil || !slices.Contains(w.published("registry-keys"), active) {
		t.Error("tokens live that were signed shortly before the manifest went, and their key is not public")
	}
}

func TestAManifestThatWasNeverThereLeavesNothing(t *testing.T) {
	w := newWorld(t, signingKey("registry", func(k *v1alpha1.SigningKey) { k.Spec.TokenLifetime = "48h" }))
	w.keep()
	if got := w.states("registry"); got != "" || !w.said("spec.tokenLifetime must be from 1m to 24h") {
		t.Fatalf("a spec that contradicts itself has keys: %s", got)
	}
	w.keys = nil
	w.keep()
	if w.keyInStore("registry") != nil {
		t.Error("it is still there")
	}
}
