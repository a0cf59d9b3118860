package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// maxRounds bounds how many writes one reconcile makes: the first key takes three (created; published and activated;
// its standby published).
const maxRounds = 6

// keyWork is one reconcile of one SigningKey.
type keyWork struct {
	*signingKeyReconciler
	key    *v1alpha1.SigningKey
	params keyring.Params
	// problems are what only a person can solve, the most important first.
	problems []keyring.Problem
	// publication is why something that shall be public is not; nil if all is.
	publication []keyring.Problem

	// secret is the Secret as it was read or written last; nil if there is none.
	secret *corev1.Secret
	// readable says that ring is what the Secret says, or what follows from there being none.
	readable  bool
	ring      keyring.Ring
	authority *keyring.Authority
	// served says that the home ConfigMap holds the ring.
	served bool
}

func (r *signingKeyReconciler) begin(key *v1alpha1.SigningKey) *keyWork {
	w := &keyWork{signingKeyReconciler: r, key: key}
	limits := keyring.Limits{MaxStaleness: r.MaxStaleness, ClockSkew: r.ClockSkew, JWKSMaxAge: r.JWKSMaxAge}
	w.params, w.problems = keyring.Compile(key, limits)
	return w
}

func (w *keyWork) now() time.Time { return w.clock.Now().UTC() }

// stall notes something that only a person can solve.
func (w *keyWork) stall(reason, format string, args ...any) {
	w.problems = append(w.problems, keyring.Problem{Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// keepKeys plans and writes until nothing is due. Each round is one write of the Secret, compared and swapped by its
// resourceVersion, and then one of the ConfigMap, so that a later round can build on what is public.
func (w *keyWork) keepKeys(ctx context.Context) error {
	published, err := w.readGeneration(ctx) // before the Secret: see adoptGeneration
	if err != nil {
		return err
	}
	if err := w.load(ctx); err != nil || !w.readable {
		return err
	}
	lifted, added := w.adoptGeneration(published), w.notePublications()
	dirty := lifted || added
	for range maxRounds {
		if err := w.publishHome(ctx); err != nil {
			return err
		}
		now := w.now()
		plan := keyring.Plan(now, w.params, w.ring, w.facts())
		if len(plan) == 0 && (!dirty || len(w.ring.Keys) == 0) {
			return nil
		}
		next, err := keyring.Execute(w.ring, plan, now, w.params, w.random, w.authority)
		if err != nil {
			return fmt.Errorf("carry out the plan: %w", err)
		}
		if err := w.save(ctx, next); err != nil {
			return err
		}
		dirty = false
		w.tell(plan, next)
		ctrl.LoggerFrom(ctx).V(1).Info("Wrote the key set", "generation", next.Generation)
	}
	return w.publishHome(ctx)
}

// facts are what Plan cannot see in the Secret. All that the home ConfigMap holds is public.
func (w *keyWork) facts() keyring.Facts {
	facts := keyring.Facts{Served: map[string]bool{}, AuthorityUntil: w.authority.Until()}
	for _, k := range w.ring.Keys {
		facts.Served[k.Thumbprint] = w.served
	}
	return facts
}

// adoptGeneration lifts the ring over what is public already: a Secret that was lost, or restored from a backup, has a
// lower generation, and a lower one never replaces a higher. It cannot be another manager's newer write, because each
// writes the Secret first, and here the ConfigMap was read first.
func (w *keyWork) adoptGeneration(published int64) bool {
	if published <= w.ring.Generation {
		return false
	}
	w.ring.Generation = published
	return true
}

// tell makes an event of each step that a person may want to know.
func (w *keyWork) tell(plan []keyring.Transition, next keyring.Ring) {
	previous := w.ring
	w.ring = next
	for _, t := range plan {
		w.event(t, previous)
	}
}
