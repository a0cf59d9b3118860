package cmd

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
)

// revokesDespiteConflicts lets others write between what the command reads and what it writes: what they wrote stays, and
// a key that they made is revoked with the others.
func (b *keysBench) revokesDespiteConflicts(t *testing.T) {
	key := b.static(t, "contended", v1alpha1.SigningKeyStatus{Conditions: conditions(), ObservedGeneration: 1, Keys: someKeys()[4:]})
	watched, err := client.NewWithWatch(b.plane.Config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	writes := 0
	c := interceptor.NewClient(watched, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
			other := &v1alpha1.SigningKey{ObjectMeta: key.ObjectMeta}
			if err := c.Get(ctx, client.ObjectKeyFromObject(key), other); err != nil {
				return err
			}
			switch writes++; writes {
			case 1: // another person
				other.Spec.RevokedKeyIDs = []string{"theirs"}
				if err := c.Update(ctx, other); err != nil {
					return err
				}
			case 2: // the manager
				other.Status.Keys = someKeys()[3:]
				if err := c.Status().Update(ctx, other); err != nil {
					return err
				}
			}
			return c.Patch(ctx, o, patch, opts...)
		},
	})
	var out, errOut bytes.Buffer
	s := &session{client: c, namespace: unmanaged, program: "tokenwright", out: &out, errOut: &errOut, now: time.Now}
	if err := s.revoke(t.Context(), "contended", nil, revokeFlags{all: true}); err != nil {
		t.Fatal(err)
	}
	b.read(t, key)
	if diff := cmp.Diff([]string{"theirs", libTrust256, "next"}, key.Spec.RevokedKeyIDs); diff != "" || writes != 3 {
		t.Errorf("%d writes (-want +got):\n%s", writes, diff)
	}
}
