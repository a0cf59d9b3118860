package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	// problems are what is wrong with the keys, the most important first. With the reason RequestFailed it may pass by
	// itself; the others only a person can solve.
	problems []keyring.Problem
	// publication is why the home ConfigMap does not hold the keys, and copies why a copy does not; nil if they do.
	publication, copies []keyring.Problem

	// secret is the Secret as it was read or written last; nil if there is none.
	secret *corev1.Secret
	// readable says that ring is what the Secret says, or what follows from there being none.
	readable bool
	ring     keyring.Ring
	authorityWork
	// served says that the home ConfigMap holds the ring.
	served bool
	// acks are what the servers said last, if it mattered; acksUnknown says that they could not be asked.
	acks        []keyring.Ack
	acksUnknown bool
	// unsaved says that the ring, or the next one, could not be written.
	unsaved bool
	// planned is the time for which was planned last; zero if nothing was.
	planned time.Time
	// raced says that somebody else wrote what we were about to write.
	raced bool
	// left are the objects that should have been deleted and could not be.
	left []string
	// found are warnings about the Secret, to be told when what follows from them is written: only then did it happen.
	found []warningEvent
}

// begin returns the work, and what is wrong with the spec.
func (r *signingKeyReconciler) begin(key *v1alpha1.SigningKey) (*keyWork, []keyring.Problem) {
	w := &keyWork{signingKeyReconciler: r, key: key}
	limits := keyring.Limits{MaxStaleness: r.MaxStaleness, ClockSkew: r.ClockSkew, JWKSMaxAge: r.JWKSMaxAge, TestBounds: r.TestBounds}
	var problems []keyring.Problem
	w.params, problems = keyring.Compile(key, limits)
	return w, problems
}

func (w *keyWork) now() time.Time { return w.clock.Now().UTC() }

// stall notes something that is wrong with the keys.
func (w *keyWork) stall(reason, format string, args ...any) {
	w.problems = append(w.problems, keyring.Problem{Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// keepKeys plans and writes until nothing is due. Each round is one write of the Secret, compared and swapped by its
// resourceVersion, and then one of the ConfigMap, so that a later round can build on what is public.
//
// That the ConfigMap cannot be written stops nothing but the key that would have to be public first: servers read the
// Secret, and a revocation must reach them.
func (w *keyWork) keepKeys(ctx context.Context) error {
	public := w.readHome(ctx) // before the Secret: see adoptGeneration
	w.readAuthority(ctx)
	if err := w.load(ctx, public); err != nil || !w.readable {
		return errors.Join(public.err, err)
	}
	public.err = errors.Join(public.err, w.readRecorded(ctx))
	public.generation = keyring.Credible(public.generation, w.ring.Generation)
	authorityErr := w.keepTrust(ctx, public)
	if w.raced {
		return authorityErr
	}
	lifted, added := w.adoptGeneration(public.generation), w.notePublications()
	dirty := lifted || added || w.lacksLabels()
	for range maxRounds {
		publishErr := errors.Join(w.publishHome(ctx), w.readAcks(ctx))
		now := w.now()
		w.planned = now
		ring, revised := w.params.Revise(now, w.ring, w.held)
		plan := keyring.Plan(now, w.params, ring, w.facts())
		if len(plan) == 0 && (!(dirty || revised) || len(w.ring.Keys) == 0) {
			return errors.Join(public.err, authorityErr, publishErr)
		}
		next, err := w.write(ctx, plan, now)
		if err != nil || w.unsaved {
			return errors.Join(public.err, authorityErr, publishErr, err)
		}
		dirty = false
		w.tell(plan, next)
		ctrl.LoggerFrom(ctx).V(1).Info("Wrote the key set", "generation", next.Generation)
	}
	return errors.Join(public.err, authorityErr, w.publishHome(ctx))
}

// write does what is planned and saves what comes of it, with the authorities as they are to be, or notes why it cannot.
func (w *keyWork) write(ctx context.Context, plan []keyring.Transition, now time.Time) (keyring.Ring, error) {
	ring, _ := w.params.Revise(now, w.ring, w.held)
	next, err := keyring.Execute(ring, plan, now, w.params, w.random, w.authority)
	if err != nil {
		err = fmt.Errorf("carry out the plan: %w", err)
	} else {
		err = w.save(ctx, next)
	}
	switch {
	case err == nil:
	case outpaced(err):
		w.raced, w.unsaved = true, true
	default:
		w.unsaved = true
		w.stall(v1alpha1.ReasonRequestFailed, "Secret %s/%s could not be written; the manager's log says why",
			w.key.Namespace, keyring.SecretName(w.key.Name))
	}
	return next, err
}

// outpaced says whether the error is that somebody else wrote meanwhile: the next reconcile begins with that.
func outpaced(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || errors.Is(err, errOutrun) || errors.Is(err, errNotAsked)
}

// facts are what Plan cannot see in the Secret. All that the home ConfigMap holds is public.
func (w *keyWork) facts() keyring.Facts {
	facts := keyring.Facts{
		Public: map[string]bool{}, Acks: w.acks, AuthorityUntil: w.authority.Until(), Authority: w.authority.ID(),
	}
	for _, k := range w.ring.Keys {
		facts.Public[k.Thumbprint] = w.served
	}
	return facts
}

// adoptGeneration lifts the ring over what is public already: a Secret that was lost, or restored from a backup, has a
// lower generation, and a lower one never replaces a higher. It cannot be another manager's newer write, because each
// writes the Secret first, and here the ConfigMap was read first, and the status before.
// What a backup cannot know, the status does.
func (w *keyWork) adoptGeneration(published int64) bool {
	lifted := published > w.ring.Generation
	if w.secret == nil || !lifted && !keyring.Behind(w.ring, w.key.Status) {
		w.ring.Generation = max(w.ring.Generation, published)
		return lifted
	}
	w.ring = keyring.Recall(w.ring, w.key.Status, w.now())
	w.ring.Generation = max(w.ring.Generation, published)
	w.found = append(w.found, warningEvent{
		"SecretRestored", "Recall", "The Secret holds an older key set; what was revoked or made since is taken from the status",
	})
	return true
}

// tell makes an event of each step that a person may want to know.
func (w *keyWork) tell(plan []keyring.Transition, next keyring.Ring) {
	previous := w.ring
	w.ring = next
	for _, e := range w.found {
		w.recorder.Eventf(w.key, nil, corev1.EventTypeWarning, e.reason, e.action, "%s", e.note)
	}
	w.found = nil
	for _, t := range plan {
		w.event(t, previous)
	}
	w.tellAuthorities(previous, next)
}
