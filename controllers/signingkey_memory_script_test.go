package controllers

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// outcome is the kind of an answer.
func outcome(err error) string {
	switch {
	case err == nil:
		return "done"
	case apierrors.IsConflict(err):
		return "Conflict"
	case apierrors.IsAlreadyExists(err):
		return "AlreadyExists"
	case apierrors.IsNotFound(err):
		return "NotFound"
	case apierrors.IsInvalid(err):
		return "Invalid"
	}
	return err.Error()
}

// TestMemoryIsLikeAnAPIServer runs one script on a real API server and on the memory that stands for one where thousands
// of runs are needed, and compares each answer: what holds here is all that the harness builds on.
func TestMemoryIsLikeAnAPIServer(t *testing.T) {
	o := testOptions(t, fmt.Sprintf("alike-%d", time.Now().UnixNano()))
	want := preconditionScript(t, plane.Client, o)
	got := preconditionScript(t, newMemory(time.Now), o)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-API server +memory):\n%s", diff)
	}
	if len(want) < 20 {
		t.Errorf("only %d answers were compared", len(want))
	}
}

// preconditionScript returns each step with its answer.
func preconditionScript(t *testing.T, c client.Client, o Options) []string {
	t.Helper()
	ctx := t.Context()
	var said []string
	say := func(step string, err error) { said = append(said, step+": "+outcome(err)) }
	tell := func(step string, value any) { said = append(said, fmt.Sprintf("%s: %v", step, value)) }

	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: "alike"},
		Spec:       v1alpha1.SigningKeySpec{Audiences: []v1alpha1.Audience{"a"}},
	}
	say("create a SigningKey", c.Create(ctx, key))
	tell("it has a uid, a version, a generation", key.UID != "" && key.ResourceVersion != "" && key.Generation == 1)
	say("create it again", c.Create(ctx, &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: "alike"}, Spec: key.Spec}))

	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: keyring.SecretName(key.Name), Labels: keyring.SecretLabels(key.Name),
			OwnerReferences: []metav1.OwnerReference{keyring.OwnerReference(key)}},
		Type: keyring.SecretType, Data: map[string][]byte{"a": []byte("1")},
	}
	say("create a Secret", c.Create(ctx, secret.DeepCopy(), signingKeyOwner))
	say("create it again", c.Create(ctx, secret.DeepCopy(), signingKeyOwner))
	say("read it", c.Get(ctx, client.ObjectKeyFromObject(secret), secret))
	old := secret.DeepCopy()
	secret.Data = map[string][]byte{"b": []byte("2")}
	say("replace it", c.Update(ctx, secret, signingKeyOwner))
	tell("the version moved", secret.ResourceVersion != old.ResourceVersion)
	say("replace it by an old version", c.Update(ctx, old.DeepCopy(), signingKeyOwner))
	say("read it", c.Get(ctx, client.ObjectKeyFromObject(secret), secret))
	tell("entries", len(secret.Data))
	say("delete it by an old version", c.Delete(ctx, old.DeepCopy(), client.Preconditions{UID: &old.UID, ResourceVersion: &old.ResourceVersion}))
	say("delete it", c.Delete(ctx, secret.DeepCopy(), client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion}))
	say("delete it again", c.Delete(ctx, secret.DeepCopy(), client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion}))
	say("replace what is gone", c.Update(ctx, secret.DeepCopy(), signingKeyOwner))
	again := old.DeepCopy()
	again.UID, again.ResourceVersion = "", ""
	say("create it anew", c.Create(ctx, again, signingKeyOwner))
	tell("it is another one", again.UID != old.UID && again.ResourceVersion != old.ResourceVersion)
	say("replace it by the one that is gone", c.Update(ctx, old.DeepCopy(), signingKeyOwner))
	return append(said, applyScript(t, c, key)...)
}

func applyScript(t *testing.T, c client.Client, key *v1alpha1.SigningKey) []string {
	t.Helper()
	ctx := t.Context()
	var said []string
	say := func(step string, err error) { said = append(said, step+": "+outcome(err)) }
	tell := func(step string, value any) { said = append(said, fmt.Sprintf("%s: %v", step, value)) }
	w := &keyWork{key: key, ring: keyring.Ring{Generation: 7}}
	place := w.home()
	live := &corev1.ConfigMap{ObjectMeta: w.configMapMeta(place)}
	say("create a ConfigMap", c.Create(ctx, live, signingKeyOwner))
	first := live.DeepCopy()
	say("apply", c.Apply(ctx, w.configMap(live, map[string]string{"x": "1", "y": "1"}), signingKeyOwner, client.ForceOwnership))
	say("apply to an old version", c.Apply(ctx, w.configMap(first, map[string]string{"x": "2"}), signingKeyOwner, client.ForceOwnership))
	say("read it", c.Get(ctx, client.ObjectKeyFromObject(live), live))
	tell("data", live.Data)
	tell("generation", live.Annotations[v1alpha1.AnnotationGeneration])
	// The memory gives a new version here, the API server does not; it matters to nobody who reads before he writes.
	say("apply the same", c.Apply(ctx, w.configMap(live, map[string]string{"x": "1", "y": "1"}), signingKeyOwner, client.ForceOwnership))
	say("read it", c.Get(ctx, client.ObjectKeyFromObject(live), live))
	version := live.ResourceVersion
	live.Data["z"] = "a person's"
	say("a person writes", c.Update(ctx, live))
	tell("the version moved", live.ResourceVersion != version)
	say("apply without an entry", c.Apply(ctx, w.configMap(live, map[string]string{"x": "3"}), signingKeyOwner, client.ForceOwnership))
	say("read it", c.Get(ctx, client.ObjectKeyFromObject(live), live))
	tell("the person's entry stays, ours that is not applied any more goes", live.Data)
	say("delete it", c.Delete(ctx, live.DeepCopy(), client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion}))
	say("apply to what is gone", c.Apply(ctx, w.configMap(live, map[string]string{"x": "4"}), signingKeyOwner, client.ForceOwnership))
	say("read it", c.Get(ctx, client.ObjectKeyFromObject(live), live.DeepCopy()))
	again := &corev1.ConfigMap{ObjectMeta: w.configMapMeta(place)}
	say("create it anew", c.Create(ctx, again, signingKeyOwner))
	say("apply to the one that was there before", c.Apply(ctx, w.configMap(live, map[string]string{"x": "4"}), signingKeyOwner, client.ForceOwnership))

	stale := key.DeepCopy()
	key.Spec.Audiences = append(key.Spec.Audiences, "b")
	say("change the spec", c.Update(ctx, key))
	tell("spec generation", key.Generation)
	status := v1alpha1.SigningKeyStatus{ObservedGeneration: 1, ActiveKeyID: "k1", LastHandledRotate: "r1"}
	writeStatus := func(of *v1alpha1.SigningKey) error {
		return c.SubResource("status").Apply(ctx, signingKeyConfiguration(of, status), client.FieldOwner("tokenwright/signingkey"), client.ForceOwnership)
	}
	say("apply a status to an old version", writeStatus(stale))
	say("apply a status", writeStatus(key))
	say("read it", c.Get(ctx, client.ObjectKeyFromObject(key), key))
	tell("status", key.Status.ActiveKeyID+key.Status.LastHandledRotate)
	tell("spec generation", key.Generation)
	status.LastHandledRotate = ""
	say("apply a status without a field", writeStatus(key))
	say("read it", c.Get(ctx, client.ObjectKeyFromObject(key), key))
	tell("status", key.Status.ActiveKeyID+key.Status.LastHandledRotate)
	say("delete it", c.Delete(ctx, key.DeepCopy()))
	say("apply a status to what is gone", writeStatus(key))
	return said
}
