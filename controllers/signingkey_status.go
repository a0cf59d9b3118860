package controllers

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// signingKeyStatus says what the keys are and what is wrong. Where the Secret cannot be read, it goes on saying what is
// known of the keys: their public halves may be needed.
func signingKeyStatus(now metav1.Time, w *keyWork) v1alpha1.SigningKeyStatus {
	previous := w.key.Status
	conditions := append(w.conditions(now.Time), w.warning(now.Time, previous.Conditions)...)
	next := v1alpha1.SigningKeyStatus{
		Conditions:         nextConditions(now, w.key.Generation, previous.Conditions, conditions...),
		ObservedGeneration: w.key.Generation,
		ActiveKeyID:        previous.ActiveKeyID, NextRotationTime: previous.NextRotationTime,
		LastHandledRotate: previous.LastHandledRotate, LastHandledRotateCA: previous.LastHandledRotateCA,
		Keys: previous.Keys,
	}
	if !w.readable {
		return next
	}
	active, _ := w.ring.Active()
	next.ActiveKeyID = active.KeyID
	next.NextRotationTime = v1alpha1.NewDateTime(w.params.NextRotation(now.Time, w.ring))
	next.LastHandledRotate, next.LastHandledRotateCA = w.ring.LastHandledRotate, w.ring.LastHandledRotateCA
	next.Keys = nil
	for _, k := range w.ring.Keys {
		next.Keys = append(next.Keys, keyStatus(w.params, k))
	}
	return next
}

func keyStatus(p keyring.Params, k keyring.Key) v1alpha1.KeyStatus {
	status := v1alpha1.KeyStatus{
		KeyID: k.KeyID, Thumbprint: k.Thumbprint, State: k.State,
		CreatedTime: v1alpha1.NewDateTime(k.Created), PublishedTime: v1alpha1.NewDateTime(k.Published), ActivatedTime: v1alpha1.NewDateTime(k.Activated),
		SignUntil: v1alpha1.NewDateTime(k.SignUntil), RetiredTime: v1alpha1.NewDateTime(k.Retired), RemovalTime: v1alpha1.NewDateTime(p.RemovalTime(k)),
	}
	if text, err := k.JWK().MarshalJSON(); err == nil {
		status.JWK = string(text)
	}
	return status
}

// conditions are Ready, Published, and Stalled while a person has to help.
func (w *keyWork) conditions(now time.Time) []condition {
	published := isFalse(v1alpha1.ConditionPublished, v1alpha1.ReasonPending, "The keys are not yet published")
	switch {
	case len(w.publication)+len(w.copies) > 0:
		problems := slices.Concat(w.publication, w.copies)
		published = isFalse(v1alpha1.ConditionPublished, problems[0].Reason, messages(problems))
	case !w.readable:
		published = isFalse(v1alpha1.ConditionPublished, w.problems[0].Reason, "The keys cannot be read; what was published stays")
	case w.served:
		published = isTrue(v1alpha1.ConditionPublished, v1alpha1.ReasonPublished,
			fmt.Sprintf("ConfigMap %q holds the public keys", w.home().Name))
	}
	problems, out := w.allProblems(), []condition{published}
	if w.params.Deleting {
		return append(out, w.leavingCondition(problems))
	}
	if len(problems) == 0 {
		return append(out, w.ready(now))
	}
	out = append(out, isFalse(v1alpha1.ConditionReady, problems[0].Reason, messages(problems)))
	lasting := slices.DeleteFunc(problems, func(p keyring.Problem) bool { return p.Reason == v1alpha1.ReasonRequestFailed })
	if len(lasting) > 0 {
		out = append(out, stalled(lasting[0].Reason, messages(lasting)))
	}
	return out
}

// allProblems are what stands in the way, the most important first.
func (w *keyWork) allProblems() []keyring.Problem {
	return slices.Concat(w.problems, w.publication, w.copies)
}

// ready says whether a key signs, where nothing stands in the way.
func (w *keyWork) ready(now time.Time) condition {
	active, signs := w.ring.Active()
	waiting := w.waiting(now)
	switch {
	case !signs:
		return isFalse(v1alpha1.ConditionReady, v1alpha1.ReasonPending, "No key signs yet")
	case !active.SignUntil.IsZero() && !now.Before(active.SignUntil):
		return isFalse(v1alpha1.ConditionReady, v1alpha1.ReasonPending,
			joined(fmt.Sprintf("Key %q may not sign any more and no other is ready", active.KeyID), waiting))
	case waiting != "":
		return isTrue(v1alpha1.ConditionReady, v1alpha1.ReasonSigning, joined(fmt.Sprintf("Key %q signs", active.KeyID), waiting))
	case w.params.Asked(w.ring):
		return isTrue(v1alpha1.ConditionReady, v1alpha1.ReasonSigning,
			fmt.Sprintf("Key %q signs; the rotation that was asked for waits until %s", active.KeyID, w.askedWaits(now)))
	}
	return isTrue(v1alpha1.ConditionReady, v1alpha1.ReasonSigning, fmt.Sprintf("Key %q signs", active.KeyID))
}

// joined adds to a message what is not empty.
func joined(message, more string) string {
	if more == "" {
		return message
	}
	return message + "; " + more
}

// askedWaits says what a rotation that was asked for waits for.
func (w *keyWork) askedWaits(now time.Time) string {
	if room := w.params.RoomTime(now, w.ring); !room.IsZero() {
		return "retired keys are gone, at " + room.UTC().Format(time.RFC3339)
	}
	return "the standby may sign"
}

func messages(problems []keyring.Problem) string {
	said := make([]string, 0, len(problems))
	for _, p := range problems {
		said = append(said, p.Message)
	}
	return listed(said)
}

// signingKeyConfiguration is the status in the form in which it is applied.
func signingKeyConfiguration(key *v1alpha1.SigningKey, next v1alpha1.SigningKeyStatus) *v1alpha1ac.SigningKeyApplyConfiguration {
	status := v1alpha1ac.SigningKeyStatus().
		WithObservedGeneration(next.ObservedGeneration).
		WithConditions(applied(next.Conditions)...)
	// A value that the schema wants to have at least one character is left out when empty.
	status.ActiveKeyID = unlessEmpty(next.ActiveKeyID)
	status.NextRotationTime = unlessEmpty(next.NextRotationTime)
	status.LastHandledRotate = unlessEmpty(next.LastHandledRotate)
	status.LastHandledRotateCA = unlessEmpty(next.LastHandledRotateCA)
	for _, k := range next.Keys {
		entry := v1alpha1ac.KeyStatus().WithKeyID(k.KeyID).WithThumbprint(k.Thumbprint).WithState(k.State)
		entry.JWK = unlessEmpty(k.JWK)
		entry.CreatedTime, entry.PublishedTime = unlessEmpty(k.CreatedTime), unlessEmpty(k.PublishedTime)
		entry.ActivatedTime, entry.SignUntil = unlessEmpty(k.ActivatedTime), unlessEmpty(k.SignUntil)
		entry.RetiredTime, entry.RemovalTime = unlessEmpty(k.RetiredTime), unlessEmpty(k.RemovalTime)
		status.WithKeys(entry)
	}
	return v1alpha1ac.SigningKey(key.Name, key.Namespace).WithResourceVersion(key.ResourceVersion).WithStatus(status)
}

func unlessEmpty[T ~string](value T) *T {
	if value == "" {
		return nil
	}
	return &value
}
