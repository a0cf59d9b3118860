package keyring

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// AudienceOwners says which SigningKey signs for an audience. Of two that claim it the older keeps it; of two of the
// same age (creationTimestamp has seconds) the one whose name comes first. One that is being deleted has given up.
func AudienceOwners(keys []v1alpha1.SigningKey) map[v1alpha1.Audience]string {
	owners := map[v1alpha1.Audience]*v1alpha1.SigningKey{}
	for i := range keys {
		if !keys[i].DeletionTimestamp.IsZero() {
			continue
		}
		for _, audience := range keys[i].Spec.Audiences {
			if held := owners[audience]; held == nil || older(&keys[i], held) {
				owners[audience] = &keys[i]
			}
		}
	}
	names := make(map[v1alpha1.Audience]string, len(owners))
	for audience, key := range owners {
		names[audience] = key.Name
	}
	return names
}

func older(a, b *v1alpha1.SigningKey) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.Name < b.Name
	}
	return a.CreationTimestamp.Before(&b.CreationTimestamp)
}

// Label is the value of the label tokenwright.dev/signing-key: the name, or, where a label cannot be so long, its
// beginning and a hash.
func Label(signingKey string) string {
	const longest, kept = 63, 46
	if len(signingKey) <= longest {
		return signingKey
	}
	sum := sha256.Sum256([]byte(signingKey))
	return signingKey[:kept] + "_" + hex.EncodeToString(sum[:8])
}
