package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// terminate deletes the system namespace. Nothing takes away what is in it, as long as no controller of namespaces runs.
func (b *keyBench) terminate() {
	b.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.o.Namespace}}
	b.delete(namespace)
	refresh(b.T, namespace)
	if namespace.Status.Phase != corev1.NamespaceTerminating {
		b.Fatalf("the namespace is %s", namespace.Status.Phase)
	}
	// The API server's admission knows it a moment later.
	eventually(b.T, func() error {
		probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: b.o.Namespace, GenerateName: "probe-"}}
		if err := plane.Client.Create(b.Context(), probe); !apierrors.IsForbidden(err) {
			return fmt.Errorf("something can still be created: %w", err)
		}
		return nil
	})
}

func TestSigningKeyGoesAtOnceWithItsNamespace(t *testing.T) {
	cases := map[string]func(*keyBench, *v1alpha1.SigningKey){
		"and all is there": func(*keyBench, *v1alpha1.SigningKey) {},
		"and its Secret and ConfigMap are gone already": func(b *keyBench, key *v1alpha1.SigningKey) {
			b.delete(b.secret(key), b.configMap(key))
		},
		"and it is held already": func(b *keyBench, key *v1alpha1.SigningKey) { b.begin(key); b.at(0, key) },
	}
	for name, before := range cases {
		t.Run(name, func(t *testing.T) {
			b := newDeletionBench(t, "going")
			tenant := b.tenant("tenant", true)
			key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Spec.Publish.Namespaces = []string{tenant} })
			b.reconcile(key)
			b.terminate()
			before(b, key)
			if key.DeletionTimestamp.IsZero() {
				b.begin(key)
			}
			b.at(0, key)
			if b.there(key) {
				t.Errorf("it is held: %s", message(key))
			}
			if b.copyThere(tenant, key) || b.authorityThere(key) {
				t.Error("something is left in another namespace")
			}
		})
	}
}

func TestNewSigningKeyIsNotHeldInANamespaceThatGoes(t *testing.T) {
	b := newDeletionBench(t, "fresh")
	key := b.signingKey("registry")
	b.terminate()
	_, _ = b.step(key) // which cannot make anything
	refresh(t, key)
	if controllerutil.ContainsFinalizer(key, v1alpha1.FinalizerSigningKey) {
		t.Error("nobody will be there to let it go")
	}
}

// TestManagerThatStopsLetsGoInANamespaceThatGoes: Kubernetes deletes the pods of a namespace before anything else, so that
// a SigningKey is not yet being deleted when the last manager stops.
func TestManagerThatStopsLetsGoInANamespaceThatGoes(t *testing.T) {
	for name, going := range map[string]bool{"and keeps them otherwise": false, "and lets all go": true} {
		t.Run(name, func(t *testing.T) {
			b := newDeletionBench(t, "stop")
			tenant := b.tenant("tenant", true)
			stop := startManager(t, b.config(), b.o)
			keys := []*v1alpha1.SigningKey{
				b.signingKey("one", func(k *v1alpha1.SigningKey) { k.Spec.Publish.Namespaces = []string{tenant} }), b.signingKey("two"),
			}
			for _, key := range keys {
				eventually(t, func() error { refresh(t, key); return currentStatus(key) })
			}
			if going {
				b.terminate()
			}
			stop()
			for _, key := range keys {
				refresh(t, key)
				if held := controllerutil.ContainsFinalizer(key, v1alpha1.FinalizerSigningKey); held == going {
					t.Errorf("SigningKey %s is held: %t", key.Name, held)
				}
				if b.authorityThere(key) == going {
					t.Errorf("the authority of %s: wrong", key.Name)
				}
			}
			if b.copyThere(tenant, keys[0]) == going {
				t.Error("the copy: wrong")
			}
		})
	}
}

// TestManagerThatStopsTriesAgainAndEnds has an API server that is away: the process must end all the same.
func TestManagerThatStopsTriesAgainAndEnds(t *testing.T) {
	b := newDeletionBench(t, "errand")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.terminate()
	for name, failures := range map[string]int{"the API server is away for a moment": 1, "the API server is away": 100} {
		t.Run(name, func(t *testing.T) {
			b, failed := b.in(t), 0
			reconciler := *b.r
			b.r = &reconciler
			b.faulty(interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
					if failed++; failed <= failures {
						return errors.New("away")
					}
					return c.Get(ctx, k, o, opts...)
				},
			})
			b.update(key, func(k *v1alpha1.SigningKey) { controllerutil.AddFinalizer(k, v1alpha1.FinalizerSigningKey) })
			stopped, stop := context.WithCancel(t.Context())
			stop()
			if err := (&leaving{signingKeyReconciler: b.r}).Start(stopped); err != nil {
				t.Errorf("the manager ends with an error: %v", err)
			}
			refresh(t, key)
			if held := controllerutil.ContainsFinalizer(key, v1alpha1.FinalizerSigningKey); held != (failures >= attempts) {
				t.Errorf("held %t", held)
			}
		})
	}
}

// TestFinalizersThatComeMeanwhileStay has somebody add a finalizer while ours is taken away.
func TestFinalizersThatComeMeanwhileStay(t *testing.T) {
	b := newDeletionBench(t, "meanwhile")
	key := b.signingKey("registry")
	t.Cleanup(func() { b.unhold(key) })
	b.reconcile(key)
	b.terminate()
	added := false
	b.faulty(interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if !added {
				added = true
				b.update(key, func(k *v1alpha1.SigningKey) { controllerutil.AddFinalizer(k, "example.com/theirs") })
			}
			return c.Patch(ctx, o, p, opts...)
		},
	})
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := (&leaving{signingKeyReconciler: b.r}).Start(stopped); err != nil {
		t.Fatal(err)
	}
	refresh(t, key)
	if diff := cmp.Diff([]string{"example.com/theirs"}, key.Finalizers); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}
}

// TestNameIsFreeAfterTheEnd: the API server refuses a second SigningKey of the name until the first is gone. The garbage
// collector may be later than the second one, which then waits for it, and for nobody else.
func TestNameIsFreeAfterTheEnd(t *testing.T) {
	b := newDeletionBench(t, "again")
	startManager(t, b.config(), b.o)
	first := b.signingKey("registry")
	eventually(t, func() error { refresh(t, first); return currentStatus(first) })
	signed := keysIn(first, active)
	b.delete(first)
	eventually(t, func() error {
		refresh(t, first)
		if got := saidOf(first)["Ready"]; got.Reason != v1alpha1.ReasonDeleting {
			return fmt.Errorf("Ready is %v", got)
		}
		return nil
	})
	second := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: b.o.Namespace, Name: "registry"}, Spec: first.Spec}
	if err := plane.Client.Create(t.Context(), second); !apierrors.IsAlreadyExists(err) {
		t.Fatalf("two of one name: %v", err)
	}
	leftovers := []client.Object{b.secret(first), b.configMap(first)}
	b.update(first, func(k *v1alpha1.SigningKey) {
		metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.AnnotationForceDelete, "now")
	})
	eventually(t, func() error {
		if b.there(first) {
			return errors.New("it is still there")
		}
		return nil
	})
	create(t, second)
	eventually(t, func() error {
		refresh(t, second)
		if diff := cmp.Diff(stalledFor(v1alpha1.ReasonNameTaken), saidOf(second)); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
	if len(second.Status.Keys) > 0 {
		t.Errorf("it took over keys: %v", statesOf(second))
	}
	b.delete(leftovers...) // as the garbage collector does
	eventually(t, func() error { refresh(t, second); return currentStatus(second) })
	if diff := cmp.Diff(signed, keysIn(second, active)); diff == "" {
		t.Error("it signs with a key of the first")
	}
	if keyring.OwnedBy(second, b.secret(second), string(b.secret(second).Type)) != nil {
		t.Error("the Secret is not the second's")
	}
}

// TestDeletionIsToldToTheOthersAtOnce: an audience goes to the next when the deletion begins, not when it ends.
func TestDeletionIsToldToTheOthersAtOnce(t *testing.T) {
	b := newDeletionBench(t, "next")
	startManager(t, b.config(), b.o)
	older := b.signingKey("a-older")
	eventually(t, func() error { refresh(t, older); return currentStatus(older) })
	younger := b.signingKey("b-younger", func(k *v1alpha1.SigningKey) { k.Spec.Audiences = older.Spec.Audiences })
	eventually(t, func() error {
		refresh(t, younger)
		if diff := cmp.Diff(stalledFor(v1alpha1.ReasonAudienceTaken), saidOf(younger)); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
	began := time.Now()
	b.delete(older)
	eventually(t, func() error { refresh(t, younger); return currentStatus(younger) })
	t.Logf("It took over after %s", time.Since(began).Round(time.Millisecond))
	if !b.there(older) {
		t.Error("the older is gone: nobody can verify what it signed")
	}
}
