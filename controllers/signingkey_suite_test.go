package controllers

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// keyBench is the real reconciler on a real API server, under the manager's rights, with a clock that the test moves.
type keyBench struct {
	*testing.T
	r      *signingKeyReconciler
	clock  *clocktesting.FakePassiveClock
	events chan string
	o      Options
	names  int
}

// newKeyBench works in namespaces that no other run has used: nothing collects what a deleted SigningKey owned.
func newKeyBench(t *testing.T, name string) *keyBench {
	t.Helper()
	o := testOptions(t, fmt.Sprintf("%s-%d", name, time.Now().UnixNano()))
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 3, 1, 12, 0, 0, 500, time.UTC))
	figures, err := registerKeyMetrics(prometheus.NewRegistry(), clock)
	if err != nil {
		t.Fatal(err)
	}
	c := managerClient(t, o)
	recorder := events.NewFakeRecorder(1000)
	o.statusLimit = rate.NewLimiter(rate.Inf, 1)
	return &keyBench{T: t, clock: clock, events: recorder.Events, o: o, r: &signingKeyReconciler{
		live: c, client: c, status: o.statusWriter(c, "signingkey"), recorder: recorder, metrics: figures,
		clock: clock, random: rand.Reader, leases: &leaseSightings{}, Options: o,
	}}
}

// in is the bench for a part of a test.
func (b *keyBench) in(t *testing.T) *keyBench {
	part := *b
	part.T = t
	return &part
}

// name is another name for a SigningKey each time.
func (b *keyBench) name() string {
	b.names++
	return fmt.Sprintf("registry-%d", b.names)
}

// managerClient has the rights that config/rbac gives the manager, in the namespaces of the test, and no others.
func managerClient(t *testing.T, o Options) client.WithWatch {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(controlplane.Root(), "config", "rbac", "manager", "role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var role rbacv1.Role
		if err := decoder.Decode(&role); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if role.Kind == "ClusterRole" {
			allowEverywhere(t, o, role.Rules...)
			continue
		}
		namespace := map[string]string{"tokenwright-system": o.Namespace, "tokenwright-ca": o.CANamespace}[role.Namespace]
		allow(t, o, namespace, role.Rules...)
	}
	c, err := client.NewWithWatch(managerConfig(t, o), client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// config has the manager's rights.
func (b *keyBench) config() *rest.Config { return managerConfig(b.T, b.o) }

func managerConfig(t *testing.T, o Options) *rest.Config {
	t.Helper()
	rc, err := plane.ConfigOf(t.Context(), o.Namespace, "tokenwright-manager")
	if err != nil {
		t.Fatal(err)
	}
	return rc
}

// allowEverywhere gives the manager of the test the rights in all namespaces.
func allowEverywhere(t *testing.T, o Options, rules ...rbacv1.PolicyRule) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: o.Namespace + "-manager"}
	create(t, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: o.Namespace, Name: "tokenwright-manager"}},
	})
}

// allow gives the manager of the test the rights in the namespace.
func allow(t *testing.T, o Options, namespace string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "tokenwright-manager"}
	create(t, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: o.Namespace, Name: "tokenwright-manager"}},
	})
}

// signingKey is in the API server with the audience registry.<name>.
func (b *keyBench) signingKey(name string, change ...func(*v1alpha1.SigningKey)) *v1alpha1.SigningKey {
	b.Helper()
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.o.Namespace, Name: name},
		Spec:       v1alpha1.SigningKeySpec{Audiences: []v1alpha1.Audience{v1alpha1.Audience("registry." + name)}},
	}
	for _, c := range change {
		c(key)
	}
	create(b.T, key)
	return key
}

// reconcile runs the reconciler until it is content; a test that wants to see each step calls step.
func (b *keyBench) reconcile(key *v1alpha1.SigningKey) ctrl.Result {
	b.Helper()
	result, err := b.step(key)
	if err != nil {
		b.Fatalf("reconcile: %v", err)
	}
	refresh(b.T, key)
	return result
}

func (b *keyBench) step(key *v1alpha1.SigningKey) (ctrl.Result, error) {
	return b.r.Reconcile(b.Context(), requestOf(key))
}

func requestOf(key *v1alpha1.SigningKey) ctrl.Request {
	return ctrl.Request{NamespacedName: client.ObjectKeyFromObject(key)}
}

// after moves the clock and reconciles.
func (b *keyBench) after(d time.Duration, key *v1alpha1.SigningKey) ctrl.Result {
	b.Helper()
	b.clock.SetTime(b.clock.Now().Add(d))
	return b.reconcile(key)
}

// update changes the object as its author does.
func (b *keyBench) update(key *v1alpha1.SigningKey, change func(*v1alpha1.SigningKey)) {
	b.Helper()
	refresh(b.T, key)
	change(key)
	if err := plane.Client.Update(b.Context(), key); err != nil {
		b.Fatal(err)
	}
}

func (b *keyBench) secret(key *v1alpha1.SigningKey) *corev1.Secret {
	b.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: keyring.SecretName(key.Name)}}
	refresh(b.T, secret)
	return secret
}

func (b *keyBench) authority(key *v1alpha1.SigningKey) *corev1.Secret {
	b.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.o.CANamespace, Name: keyring.CASecretName(key.Name)}}
	refresh(b.T, secret)
	return secret
}

func (b *keyBench) configMap(key *v1alpha1.SigningKey) *corev1.ConfigMap {
	b.Helper()
	return b.configMapIn(key.Namespace, keyring.ConfigMapName(key))
}

func (b *keyBench) configMapIn(namespace, name string) *corev1.ConfigMap {
	b.Helper()
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	refresh(b.T, m)
	return m
}

func (b *keyBench) ring(key *v1alpha1.SigningKey) keyring.Ring {
	b.Helper()
	ring, err := keyring.Decode(b.secret(key).Data)
	if err != nil {
		b.Fatal(err)
	}
	return ring
}

// jwks returns the thumbprints that the ConfigMap publishes, sorted.
func (b *keyBench) jwks(m *corev1.ConfigMap) []string {
	b.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(m.Data["jwks.json"]), &set); err != nil {
		b.Fatalf("read jwks.json: %v", err)
	}
	var out []string
	for _, k := range set.Keys {
		if !k.IsPublic() {
			b.Fatal("jwks.json has a private key")
		}
		thumbprint, err := keyring.Thumbprint(k.Key)
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, thumbprint)
	}
	slices.Sort(out)
	return out
}

// keysIn returns the thumbprints of the status' keys in the states, sorted.
func keysIn(key *v1alpha1.SigningKey, in ...v1alpha1.KeyState) []string {
	var out []string
	for _, k := range key.Status.Keys {
		if slices.Contains(in, k.State) {
			out = append(out, k.Thumbprint)
		}
	}
	slices.Sort(out)
	return out
}

// statesOf returns the states of the status' keys in the order in which they were made.
func statesOf(key *v1alpha1.SigningKey) []v1alpha1.KeyState {
	var out []v1alpha1.KeyState
	for _, k := range key.Status.Keys {
		out = append(out, k.State)
	}
	return out
}

// told returns the reasons of the events since it was asked last.
func (b *keyBench) told() []string {
	var out []string
	for {
		select {
		case event := <-b.events:
			out = append(out, strings.Fields(event)[1])
		default:
			return out
		}
	}
}

// versions tells whether anything was written: the resourceVersion of everything that the SigningKey has.
func (b *keyBench) versions(key *v1alpha1.SigningKey) map[string]string {
	b.Helper()
	out := map[string]string{}
	for _, namespace := range []string{b.o.Namespace, b.o.CANamespace} {
		var secrets corev1.SecretList
		var configMaps corev1.ConfigMapList
		for _, list := range []client.ObjectList{&secrets, &configMaps} {
			if err := plane.Client.List(b.Context(), list, client.InNamespace(namespace)); err != nil {
				b.Fatal(err)
			}
		}
		for i := range secrets.Items {
			out["secret "+secrets.Items[i].Name] = secrets.Items[i].ResourceVersion
		}
		for i := range configMaps.Items {
			out["configmap "+configMaps.Items[i].Name] = configMaps.Items[i].ResourceVersion
		}
	}
	refresh(b.T, key)
	out["signingkey"] = key.ResourceVersion
	return out
}

// current is what kstatus asks for: the status speaks of this generation, Ready is True, Stalled is not there.
func (b *keyBench) current(key *v1alpha1.SigningKey) {
	b.Helper()
	if err := currentStatus(key); err != nil {
		b.Error(err)
	}
}

func currentStatus(key *v1alpha1.SigningKey) error {
	if key.Status.ObservedGeneration != key.Generation {
		return fmt.Errorf("status speaks of generation %d, not %d", key.Status.ObservedGeneration, key.Generation)
	}
	seen := map[string]metav1.ConditionStatus{}
	for _, c := range key.Status.Conditions {
		seen[c.Type] = c.Status
		if c.ObservedGeneration != key.Generation {
			return fmt.Errorf("condition %s speaks of generation %d, not %d", c.Type, c.ObservedGeneration, key.Generation)
		}
	}
	if _, stalled := seen[v1alpha1.ConditionStalled]; stalled || seen[v1alpha1.ConditionReady] != metav1.ConditionTrue ||
		seen[v1alpha1.ConditionPublished] != metav1.ConditionTrue {
		return fmt.Errorf("conditions %v", key.Status.Conditions)
	}
	return nil
}
