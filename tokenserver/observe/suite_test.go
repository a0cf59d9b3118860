package observe

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const system = controlplane.SystemNamespace

// plane is the control plane of all tests of the package, and config has the rights of the server.
var (
	plane  *controlplane.Plane
	config *rest.Config
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if plane, err = controlplane.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = plane.Stop() }()
	if config, err = plane.ServerConfig(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// observing is an observer that runs until the test ends.
type observing struct {
	*Observer
	holder  *snapshot.Holder
	records *record.Index
}

func start(t *testing.T, config *rest.Config) observing {
	t.Helper()
	return startBounded(t, config, 0)
}

func startReady(t *testing.T) observing {
	t.Helper()
	o := start(t, config)
	eventually(t, func() bool { return o.Ready() == nil }, "ready")
	return o
}

func eventually(t *testing.T, check func() bool, what string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !check() {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting for: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// create creates the objects and deletes them when the test ends.
func create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := plane.Client.Create(t.Context(), o); err != nil {
			t.Fatalf("create %T %s: %v", o, o.GetName(), err)
		}
		t.Cleanup(func() { _ = plane.Client.Delete(context.Background(), o) })
	}
}

func remove(t *testing.T, o client.Object) {
	t.Helper()
	if err := plane.Client.Delete(t.Context(), o); err != nil {
		t.Fatalf("delete %T %s: %v", o, o.GetName(), err)
	}
}

func update(t *testing.T, o client.Object) {
	t.Helper()
	if err := plane.Client.Update(t.Context(), o); err != nil {
		t.Fatalf("update %T %s: %v", o, o.GetName(), err)
	}
}

// newSigningKey creates a SigningKey for the audience.
func newSigningKey(t *testing.T, name string, audience v1alpha1.Audience) *v1alpha1.SigningKey {
	t.Helper()
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name},
		Spec: v1alpha1.SigningKeySpec{
			Audiences: []v1alpha1.Audience{audience}, KeyIdentification: v1alpha1.KeyID,
		},
	}
	create(t, key)
	return key
}

func newKey(t *testing.T, state v1alpha1.KeyState) keyring.Key {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	key, err := keyring.GenerateKey(rand.Reader, keyring.Params{
		Algorithm: v1alpha1.ES256, Format: v1alpha1.Thumbprint, TokenLifetime: 15 * time.Minute}, now)
	if err != nil {
		t.Fatal(err)
	}
	key.State, key.Published, key.Activated, key.SignUntil = state, now, now, now.Add(time.Hour)
	if state == v1alpha1.KeyRetired || state == v1alpha1.KeyRevoked {
		key.Private, key.Retired = nil, now
	}
	return key
}

// secretOf is the Secret that the manager would write.
func secretOf(t *testing.T, owner *v1alpha1.SigningKey, generation int64, keys ...keyring.Key) *corev1.Secret {
	t.Helper()
	data, err := keyring.Encode(keyring.Ring{Generation: generation, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: system, Name: keyring.SecretName(owner.Name),
			Labels:          map[string]string{v1alpha1.LabelWatch: "true", v1alpha1.LabelSigningKey: keyring.Label(owner.Name)},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, v1alpha1.GroupVersion.WithKind("SigningKey"))},
		},
		Type: keyring.SecretType, Data: data,
	}
}

// signs returns the kid that signs for the audience, or why none does.
func (o observing) signs(audience string) string {
	a := o.holder.Load().Audiences[audience]
	switch {
	case a == nil:
		return "no such audience"
	case a.Signer == nil:
		return a.Unusable
	}
	return a.Signer.KeyID()
}
