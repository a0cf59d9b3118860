package registration

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// ownedBy returns an *Owned if another than servers has a part of the spec, and nil if nobody has. Whoever changed only labels or
// the status owns nothing that a registration says. What cannot be read is somebody's.
func ownedBy(object *v1alpha1.ProtectedResource) error {
	for _, entry := range object.ManagedFields {
		if entry.Manager != fieldOwner && entry.Subresource == "" && holdsSpec(entry.FieldsV1) {
			return &Owned{entry.Manager}
		}
	}
	return nil
}

func holdsSpec(set *metav1.FieldsV1) bool {
	if set == nil {
		return false
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(set.GetRawBytes(), &fields); err != nil {
		return true
	}
	_, found := fields["f:spec"]
	return found
}
