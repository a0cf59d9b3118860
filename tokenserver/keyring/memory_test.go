package keyring

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func named(state v1alpha1.KeyState, thumbprint string) Key {
	k := Key{Thumbprint: thumbprint, State: state}
	if state == v1alpha1.KeyActive {
		k.Private = mute{}
	}
	return k
}

func ringOf(keys ...Key) Ring { return Ring{Keys: keys} }

func TestKeyInMemorySignsUntilItsReplacementDoes(t *testing.T) {
	held := ringOf(named(v1alpha1.KeyActive, "a"))
	cases := map[string]struct {
		reason    string
		held, set Ring
		want      string
	}{
		"the Secret was lost": {
			"nothing else signs", held, ringOf(named(v1alpha1.KeyRetired, "a"), named(v1alpha1.KeyPending, "b")), "a",
		},
		"its replacement is Active": {
			"one key signs", held, ringOf(named(v1alpha1.KeyRetired, "a"), named(v1alpha1.KeyActive, "b")), "b",
		},
		"it was revoked": {
			"a revoked key does not come back", held, ringOf(named(v1alpha1.KeyRevoked, "a"), named(v1alpha1.KeyPending, "b")), "",
		},
		"nobody knows it": {
			"what is not published must not sign", held, ringOf(named(v1alpha1.KeyPending, "b")), "",
		},
		"its private half was not held": {
			"it cannot sign", ringOf(Key{Thumbprint: "a", State: v1alpha1.KeyActive}), ringOf(named(v1alpha1.KeyRetired, "a")), "",
		},
		"nothing was held": {
			"a server that starts has what there is", Ring{}, ringOf(named(v1alpha1.KeyRetired, "a")), "",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := len(c.set.Keys)
			got, _ := c.held.Followed(c.set).Active()
			if diff := cmp.Diff(c.want, got.Thumbprint); diff != "" {
				t.Errorf("%s: who signs (-want +got):\n%s", c.reason, diff)
			}
			if first := c.set.Keys[0]; len(c.set.Keys) != before || first.Thumbprint == "a" && first.State == v1alpha1.KeyActive {
				t.Error("the set that was read was changed")
			}
		})
	}
}

func TestRevokedIsRememberedWhateverIsRestored(t *testing.T) {
	memory := Revoked{}
	memory.Note(ringOf(named(v1alpha1.KeyRevoked, "a"), named(v1alpha1.KeyActive, "b")))
	memory.Note(ringOf(named(v1alpha1.KeyActive, "a")))
	var got []string
	for _, k := range memory.Without(ringOf(named(v1alpha1.KeyActive, "a"), named(v1alpha1.KeyPublished, "b"))).Keys {
		got = append(got, k.Thumbprint)
	}
	if diff := cmp.Diff([]string{"b"}, got); diff != "" {
		t.Errorf("keys of the restored set that may be used (-want +got):\n%s", diff)
	}
}
