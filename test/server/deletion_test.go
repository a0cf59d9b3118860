package server

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// deletion has a SigningKey deleted that has signed: no token can be had any more, and those that are out verify.
func (w *world) deletion(t *testing.T) {
	const name, audience = "leaving", "leaving.example.com"
	owner := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name, Finalizers: []string{v1alpha1.FinalizerSigningKey}},
		Spec:       v1alpha1.SigningKeySpec{Audiences: []v1alpha1.Audience{audience}, KeyIdentification: v1alpha1.KeyID},
	}
	w.create(t, owner)
	letGo := func() {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		if err := client.IgnoreNotFound(w.plane.Client.Patch(context.Background(), owner.DeepCopy(), patch)); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(letGo)
	kid := w.keySet(t, owner)
	query := url.Values{"service": {audience}}
	var signed reply
	w.eventually(t, "the key signs", func() bool {
		signed = w.get(t, "", "", query)
		return signed.status == http.StatusOK
	})

	if err := w.plane.Client.Delete(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, "nothing is signed any more", func() bool { return w.get(t, "", "", query).status == http.StatusBadRequest })
	if claims := w.claims(t, signed); len(claims.Audience) == 0 {
		t.Errorf("the token that is out: %+v", claims)
	}
	letGo()
	w.eventually(t, "the key is not served any more", func() bool {
		return !strings.Contains(string(w.send(t, w.url+"/.well-known/jwks.json", nil).body), kid)
	})
}

// keySet is the Secret of the SigningKey that the manager would write. It returns the kid of the key that signs.
func (w *world) keySet(t *testing.T, owner *v1alpha1.SigningKey) string {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	key, err := keyring.GenerateKey(rand.Reader, keyring.Params{Algorithm: v1alpha1.ES256, Format: v1alpha1.Thumbprint, TokenLifetime: 15 * time.Minute}, now)
	if err != nil {
		t.Fatal(err)
	}
	key.State, key.Published, key.Activated, key.SignUntil = v1alpha1.KeyActive, now, now, now.Add(time.Hour)
	data, err := keyring.Encode(keyring.Ring{Generation: 1, Keys: []keyring.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	w.create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: controlplane.SystemNamespace, Name: keyring.SecretName(owner.Name),
			Labels:          map[string]string{v1alpha1.LabelSigningKey: keyring.Label(owner.Name), v1alpha1.LabelWatch: "true"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, v1alpha1.GroupVersion.WithKind("SigningKey"))},
		},
		Type: keyring.SecretType, Data: data,
	})
	return key.KeyID
}
