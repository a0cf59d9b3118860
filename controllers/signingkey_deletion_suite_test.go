package controllers

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// heldFor is for how long a SigningKey with a 15 minutes' lifetime is held, counted from its deletion.
const heldFor = kept

// newDeletionBench has a clock that begins with the API server's: that says when something was deleted.
func newDeletionBench(t *testing.T, name string) *keyBench {
	t.Helper()
	b := newKeyBench(t, name)
	b.clock.SetTime(time.Now().UTC().Truncate(time.Second))
	return b
}

// begin deletes the SigningKey as a person does, and sets the clock to when that was.
func (b *keyBench) begin(key *v1alpha1.SigningKey) {
	b.Helper()
	b.delete(key)
	refresh(b.T, key)
	b.clock.SetTime(key.DeletionTimestamp.UTC())
}

// at sets the clock to so long after the deletion, and runs the reconciler once.
func (b *keyBench) at(after time.Duration, key *v1alpha1.SigningKey) {
	b.Helper()
	b.clock.SetTime(key.DeletionTimestamp.Add(after).UTC())
	if _, err := b.step(key); err != nil {
		b.Fatalf("reconcile: %v", err)
	}
}

// there says whether the API server has the object.
func (b *keyBench) there(o client.Object) bool {
	b.Helper()
	err := plane.Client.Get(b.Context(), client.ObjectKeyFromObject(o), o)
	if client.IgnoreNotFound(err) != nil {
		b.Fatal(err)
	}
	return !apierrors.IsNotFound(err)
}

func (b *keyBench) authorityThere(key *v1alpha1.SigningKey) bool {
	b.Helper()
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = b.o.CANamespace, keyring.CASecretName(key.Name)
	return b.there(secret)
}

func (b *keyBench) copyThere(namespace string, key *v1alpha1.SigningKey) bool {
	b.Helper()
	m := &corev1.ConfigMap{}
	m.Namespace, m.Name = namespace, keyring.ConfigMapName(key)
	return b.there(m)
}

// unhold takes every finalizer away, as a person can.
func (b *keyBench) unhold(key *v1alpha1.SigningKey) {
	b.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
	if err := client.IgnoreNotFound(plane.Client.Patch(context.Background(), key, patch)); err != nil {
		b.Fatal(err)
	}
}

// vanish deletes the SigningKey without the manager.
func (b *keyBench) vanish(key *v1alpha1.SigningKey) {
	b.Helper()
	b.unhold(key)
	b.delete(key)
}

// tenant is a namespace in which the manager has the rules.
func (b *keyBench) tenant(name string, mayDelete bool) string {
	b.Helper()
	namespace := b.o.Namespace + "-" + name
	if err := plane.CreateNamespace(b.Context(), namespace, nil); err != nil {
		b.Fatal(err)
	}
	rule := *mayPublish.DeepCopy()
	if !mayDelete {
		rule.Verbs = slices.DeleteFunc(rule.Verbs, func(verb string) bool { return verb == "delete" })
	}
	allow(b.T, b.o, namespace, rule)
	return namespace
}

// figures counts what the metrics tell.
func (b *keyBench) figures() int {
	told := make(chan prometheus.Metric, 100)
	b.r.metrics.Collect(told)
	return len(told)
}

// write writes the object as a person does.
func (b *keyBench) write(o client.Object) {
	b.Helper()
	if err := plane.Client.Update(b.Context(), o); err != nil {
		b.Fatal(err)
	}
}

// message returns what Ready says.
func message(key *v1alpha1.SigningKey) string {
	for _, c := range key.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady {
			return c.Message
		}
	}
	return ""
}

// warning returns the event of the reason, whole.
func (b *keyBench) warning(reason string) string {
	for {
		select {
		case event := <-b.events:
			if strings.Fields(event)[1] == reason {
				return event
			}
		default:
			return ""
		}
	}
}
