package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// killedAt returns funcs under which the n-th write, counted from one, is the last thing that the manager does: it is
// done, or it is not. A status is a write, too. It reports whether it came to that.
func killedAt(n int, done bool) (interceptor.Funcs, *bool) {
	killed := errors.New("the manager was killed")
	writes, dead := 0, new(bool)
	write := func(do func() error) error {
		if writes++; *dead || writes == n && !done {
			*dead = true
			return killed
		}
		err := do()
		if writes == n && err == nil {
			*dead = true
			return killed
		}
		return err
	}
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return write(func() error { return c.Create(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return write(func() error { return c.Update(ctx, o, opts...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return write(func() error { return c.Apply(ctx, o, opts...) })
		},
		SubResourceApply: func(ctx context.Context, c client.Client, sub string, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
			return write(func() error { return c.SubResource(sub).Apply(ctx, o, opts...) })
		},
	}, dead
}

func TestManagerThatIsKilledReplacesTheAuthorityOnce(t *testing.T) {
	bench := newKeyBench(t, "killed")
	steps := []struct {
		name            string
		rotate, confirm string
		after           time.Duration
		// writes is how many there are at least; trusted is how many authorities ca.crt has in the end.
		writes, trusted int
	}{
		{"the next is made", "1", "", time.Minute, 4, 2},
		{"it is confirmed", "1", "1", time.Minute, 4, 2},
		{"the old one goes", "1", "1", kept, 2, 1},
	}
	for i, step := range steps {
		for n, killed := 1, true; killed && n < 10; n++ {
			for _, done := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, write %d, done %t", step.name, n, done), func(t *testing.T) {
					b := bench.in(t)
					key := b.signingKey(bench.name())
					b.reconcile(key)
					for _, before := range steps[:i] {
						b.ask(key, before.rotate, before.confirm)
						b.after(before.after, key)
					}
					b.ask(key, step.rotate, step.confirm)
					b.clock.SetTime(b.clock.Now().Add(step.after))
					sound, doomed := b.r, *b.r
					b.r = &doomed
					funcs, dead := killedAt(n, done)
					b.faulty(funcs)
					doomed.status.client = doomed.client
					_, _ = b.step(key)
					if killed = *dead; !killed && n <= step.writes {
						t.Errorf("there are only %d writes", n-1)
					}
					b.r = sound
					var kept struct{ current, next string }
					if kept.current, kept.next = b.certificatesOf(key); step.name == "the next is made" && kept.next == "" ||
						step.name == "it is confirmed" && kept.next != "" {
						kept.current, kept.next = "", "" // the step is still to be taken
					}
					leaf := mustActive(b, key)
					if err := b.verifies(leaf, b.trusted(key)); err != nil {
						t.Errorf("between its life and the next a token is refused: %v", err)
					}
					b.reconcile(key)
					b.reconcile(key)
					b.current(key)
					if diff := cmp.Diff(step.trusted, len(b.authoritiesIn(b.trusted(key)))); diff != "" {
						t.Errorf("authorities in ca.crt (-want +got):\n%s", diff)
					}
					if current, next := b.certificatesOf(key); kept.current != "" && current+next != kept.current+kept.next {
						t.Error("an authority was made or promoted twice")
					}
					if err := b.verifies(mustActive(b, key), string(b.authority(key).Data["ca.crt"])); err != nil {
						t.Errorf("the leaf is not one of the authority that issues: %v", err)
					}
					if err := b.verifies(leaf, b.trusted(key)); err != nil && step.name != "the old one goes" {
						t.Errorf("a token that is out is refused: %v", err)
					}
					before := b.versions(key)
					b.reconcile(key)
					if diff := cmp.Diff(before, b.versions(key)); diff != "" {
						t.Errorf("it does not come to an end (-before +after):\n%s", diff)
					}
				})
			}
		}
	}
}

func TestSecretsThatAreLostWhileAnAuthorityWaits(t *testing.T) {
	bench := newKeyBench(t, "lost-waiting")
	again := func(b *keyBench, lost *corev1.Secret) {
		lost.ResourceVersion, lost.UID = "", ""
		create(b.T, lost)
	}
	cases := map[string]struct {
		lose    func(b *keyBench, key *v1alpha1.SigningKey) (restore func())
		stalled bool
	}{
		"the key set": {
			lose: func(b *keyBench, key *v1alpha1.SigningKey) func() { b.delete(b.secret(key)); return func() {} },
		},
		"the authorities": {
			lose: func(b *keyBench, key *v1alpha1.SigningKey) func() {
				lost := b.authority(key)
				b.delete(lost.DeepCopy())
				return func() { again(b, lost) }
			},
			stalled: true,
		},
		"both": {
			lose: func(b *keyBench, key *v1alpha1.SigningKey) func() {
				lost := b.authority(key)
				b.delete(lost.DeepCopy(), b.secret(key))
				return func() { again(b, lost) }
			},
			stalled: true,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bench.in(t)
			key := b.signingKey(bench.name())
			b.reconcile(key)
			b.ask(key, "1", "")
			b.after(time.Minute, key)
			trusted := b.trusted(key)
			restore := c.lose(b, key)
			b.after(time.Minute, key)
			if diff := cmp.Diff([]string{trusted, "1", v1alpha1.ReasonAuthorityUnconfirmed},
				[]string{b.trusted(key), key.Status.LastHandledRotateCA, warningOf(key).Reason}); diff != "" {
				t.Errorf("ca.crt, the request that was answered, the warning (-before +after):\n%s", diff)
			}
			if c.stalled {
				if diff := cmp.Diff(stalledFor(v1alpha1.ReasonInvalidSecret), withoutWarning(saidOf(key))); diff != "" {
					t.Errorf("conditions (-want +got):\n%s", diff)
				}
			}
			restore()
			b.after(time.Minute, key)
			b.ask(key, "1", "1")
			b.after(time.Minute, key)
			b.current(key)
			before := b.authoritiesIn(trusted)
			after := b.authoritiesIn(b.trusted(key))
			if len(after) != 2 || !after[0].Equal(before[1]) || !after[1].Equal(before[0]) {
				t.Errorf("ca.crt was\n%s and is\n%s", trusted, b.trusted(key))
			}
			if err := b.verifies(mustActive(b, key), string(b.authority(key).Data["ca.crt"])); err != nil {
				t.Errorf("the key that signs: %v", err)
			}
		})
	}
}

func withoutWarning(all map[string]said) map[string]said {
	delete(all, v1alpha1.ConditionWarning)
	return all
}

// A manager that was stopped after it had read the SigningKey does not take an old request for a new one.
func TestRequestThatWasWithdrawnMakesNoAuthority(t *testing.T) {
	b := newKeyBench(t, "withdrawn")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.ask(key, "1", "")
	before := b.authority(key).ResourceVersion
	b.faulty(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if k.Name == keyring.CASecretName(key.Name) {
				b.ask(key, "", "")
			}
			return c.Get(ctx, k, o, opts...)
		},
	})
	if _, err := b.step(key); !errors.Is(err, errNotAsked) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, b.authority(key).ResourceVersion); diff != "" {
		t.Errorf("the authority's Secret was written (-before +after):\n%s", diff)
	}
}

func TestTwoManagersMakeOneAuthority(t *testing.T) {
	for _, request := range []struct{ name, confirm string }{{"one is asked for", ""}, {"one is confirmed", "1"}} {
		t.Run(request.name, func(t *testing.T) {
			b := newKeyBench(t, "two-authorities")
			key := b.signingKey("registry")
			b.reconcile(key)
			if request.confirm != "" {
				b.ask(key, "1", "")
				b.reconcile(key)
			}
			b.ask(key, "1", request.confirm)
			b.told()
			raced, other := false, *b.r
			b.faulty(interceptor.Funcs{
				Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
					if !raced {
						raced = true // the other manager does all of it while this one thinks
						if _, err := other.Reconcile(ctx, requestOf(key)); err != nil {
							return err
						}
					}
					return c.Update(ctx, o, opts...)
				},
			})
			if _, err := b.step(key); err == nil {
				t.Error("the second write was not refused")
			}
			trusted := b.trusted(key)
			b.reconcile(key)
			b.current(key)
			if diff := cmp.Diff(trusted, b.trusted(key)); diff != "" || len(b.authoritiesIn(trusted)) != 2 {
				t.Errorf("ca.crt (-before +after):\n%s", diff)
			}
			if told := b.told(); len(told) != 1 {
				t.Errorf("events %v, want one", told)
			}
		})
	}
}
