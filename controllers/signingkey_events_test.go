package controllers

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func TestWhatBefellTheSecretIsToldOnce(t *testing.T) {
	broken := errors.New("broken")
	cases := map[string]struct {
		befalls func(*keyBench, *v1alpha1.SigningKey)
		want    string
	}{
		"it was lost": {
			befalls: func(b *keyBench, key *v1alpha1.SigningKey) { b.delete(b.secret(key)) },
			want:    "KeysLost",
		},
		"an older one was restored": {
			befalls: func(b *keyBench, key *v1alpha1.SigningKey) {
				backup := b.secret(key).Data
				b.after(interval, key)
				current := b.secret(key)
				current.Data = backup
				if err := plane.Client.Update(b.Context(), current); err != nil {
					b.Fatal(err)
				}
			},
			want: "SecretRestored",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newKeyBench(t, "told")
			key := b.signingKey("registry")
			b.reconcile(key)
			c.befalls(b, key)
			b.told()
			sound := *b.r
			b.faulty(interceptor.Funcs{
				Create: func(ctx context.Context, inner client.WithWatch, o client.Object, opts ...client.CreateOption) error {
					if _, secret := o.(*corev1.Secret); secret {
						return broken
					}
					return inner.Create(ctx, o, opts...)
				},
				Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error { return broken },
			})
			for range 3 {
				if _, err := b.step(key); !errors.Is(err, broken) {
					t.Fatalf("nothing was to be written: %v", err)
				}
			}
			if told := b.told(); len(told) > 0 {
				t.Errorf("events of what was not done: %v", told)
			}
			b.r = &sound
			b.reconcile(key)
			b.reconcile(key)
			told := slices.DeleteFunc(b.told(), func(reason string) bool { return reason != c.want })
			if diff := cmp.Diff([]string{c.want}, told); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}
