package controllers

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// A SigningKey that is being deleted is to sign nothing: no rotation of it can be late, and none comes, also where its
// keys can be neither read nor written.
func TestMetricsOfASigningKeyThatIsBeingDeletedMissNoRotation(t *testing.T) {
	cases := map[string]struct {
		reason string
		before func(*keyBench, *v1alpha1.SigningKey)
	}{
		"in order": {reason: "its keys are retired", before: func(*keyBench, *v1alpha1.SigningKey) {}},
		"its Secret cannot be read": {
			reason: "what was known before the deletion is not true any more",
			before: func(b *keyBench, k *v1alpha1.SigningKey) {
				secret := b.secret(k)
				secret.Data = map[string][]byte{"rubbish": nil}
				b.write(secret)
			},
		},
		"its Secret cannot be written": {
			reason: "a key is Active in it to the end",
			before: func(b *keyBench, _ *v1alpha1.SigningKey) {
				whole, ok := b.r.client.(client.WithWatch)
				if !ok {
					b.Fatal("the bench writes by another client")
				}
				b.r.client = interceptor.NewClient(whole, interceptor.Funcs{
					Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
						if _, is := o.(*corev1.Secret); is {
							return context.DeadlineExceeded
						}
						return c.Update(ctx, o, opts...)
					},
				})
			},
		},
	}
	whole := newDeletionBench(t, "missed")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := whole.in(t)
			reconciler := *whole.r
			b.r = &reconciler
			registry := prometheus.NewRegistry()
			var err error
			if b.r.metrics, err = registerKeyMetrics(registry, b.clock); err != nil {
				t.Fatal(err)
			}
			b.r.metrics.ask(func(context.Context) ([]keyring.Ack, error) {
				return []keyring.Ack{{Server: "a", Until: b.clock.Now().Add(time.Hour)}}, nil
			})
			b.clock.SetTime(time.Now().UTC().Truncate(time.Second))
			key := b.signingKey(whole.name())
			t.Cleanup(func() { b.unhold(key) })
			b.reconcile(key)
			if _, told := gathered(t, registry)["tokenwright_key_sign_until_timestamp_seconds "+key.Name]; !told {
				t.Fatal("nothing is told of it while it is there")
			}

			c.before(b, key)
			b.begin(key)
			_, _ = b.step(key) // what fails is not what is looked at
			b.clock.SetTime(b.clock.Now().Add(2 * interval))
			got := gathered(t, registry)
			if late := got["tokenwright_key_rotation_lateness_seconds "+key.Name]; late != 0 {
				t.Errorf("%s: late by %v seconds", c.reason, late)
			}
			for _, metric := range []string{
				"tokenwright_key_next_rotation_timestamp_seconds", "tokenwright_key_sign_until_timestamp_seconds",
				"tokenwright_certificate_authority_expiry_timestamp_seconds",
			} {
				if value, told := got[metric+" "+key.Name]; told {
					t.Errorf("%s: %s is %v", c.reason, metric, value)
				}
			}
			if others, told := got["tokenwright_server_leases false "+key.Name]; told {
				t.Errorf("%s: %v servers do not serve a key that nobody awaits", c.reason, others)
			}
		})
	}
}
