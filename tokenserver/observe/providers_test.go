package observe

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"golang.org/x/crypto/bcrypt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/issuer"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
)

func htpasswd(name, secret, prefix string) *v1alpha1.IdentityProvider {
	return &v1alpha1.IdentityProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name},
		Spec: v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{
			SecretRef: v1alpha1.SecretKeyRef{Name: secret}, Prefix: prefix,
		}},
	}
}

func usersSecret(t *testing.T, name string, passwords map[string]string) *corev1.Secret {
	t.Helper()
	file := ""
	for user, password := range passwords {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		file += fmt.Sprintf("%s:%s\n", user, hash)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name, Labels: map[string]string{v1alpha1.LabelWatch: ""}},
		Data:       map[string][]byte{"htpasswd": []byte(file)},
	}
}

// login returns a check that a login ends so: the error, or nil.
func login(t *testing.T, o observing, a *identity.Authenticator, user, password string, want error) func() bool {
	t.Helper()
	return func() bool {
		got, err := a.Authenticate(t.Context(), o.holder.Load(), identity.Credentials{Username: user, Password: password, Present: true}, time.Now())
		if err == nil && got.Username != user {
			t.Fatalf("%s got in as %s", user, got.Username)
		}
		return errors.Is(err, want) && (want != nil || err == nil)
	}
}

func TestProvidersAreFollowed(t *testing.T) {
	o := startReady(t)
	a := identity.New(identity.Options{})
	secret := usersSecret(t, "people", map[string]string{"alice": "one"})
	people := htpasswd("people", "people", "")
	create(t, people)
	eventually(t, login(t, o, a, "alice", "one", identity.ErrUnavailable), "a provider without its Secret")
	create(t, secret)
	eventually(t, login(t, o, a, "alice", "one", nil), "alice known")

	secret.Data = usersSecret(t, "people", map[string]string{"alice": "two"}).Data
	update(t, secret)
	eventually(t, login(t, o, a, "alice", "one", identity.ErrBadCredentials), "the old password refused")
	eventually(t, login(t, o, a, "alice", "two", nil), "the new password accepted")

	rivals := usersSecret(t, "rivals", map[string]string{"alice": "three", "bob": "b"})
	younger := htpasswd("younger", "rivals", "")
	prefixed := htpasswd("prefixed", "rivals", "corp-")
	create(t, rivals, younger, prefixed)
	eventually(t, login(t, o, a, "corp-bob", "b", nil), "a provider with a prefix")
	if login(t, o, a, "alice", "three", nil)() || login(t, o, a, "bob", "b", nil)() {
		t.Error("the younger of two providers without a prefix serves")
	}

	remove(t, people)
	eventually(t, login(t, o, a, "alice", "two", identity.ErrBadCredentials), "the deleted provider not trusted any more")
	eventually(t, login(t, o, a, "alice", "three", nil), "the younger in its place")
}

// TestIssuersAreFollowed has one token, which stays good by itself.
func TestIssuersAreFollowed(t *testing.T) {
	o := startReady(t)
	a := identity.New(identity.Options{})
	i := issuer.New(t)
	object := i.Provider(system, "hub", "hub:", nil)
	object.UID, object.Generation = "", 0
	token := i.Token(t, i.GitHub(map[string]any{"sub": "octo"}))
	proves := func(want error) func() bool {
		return func() bool {
			got, err := a.Authenticate(t.Context(), o.holder.Load(), identity.Credentials{Username: "x", Password: token, Present: true}, time.Now())
			if err == nil && got.Username != "hub:octo" {
				t.Fatalf("it is %s", got.Username)
			}
			return errors.Is(err, want) && (want != nil || err == nil)
		}
	}
	eventually(t, proves(identity.ErrBadCredentials), "a token of an issuer that nobody trusts")
	create(t, object)
	eventually(t, proves(nil), "the issuer trusted")
	object.Spec.JWT.ClaimValidationRules = []v1alpha1.ClaimValidationRule{{Claim: "event_name", RequiredValue: "schedule"}}
	update(t, object)
	eventually(t, proves(identity.ErrBadCredentials), "the rule asked for")
	object.Spec.JWT.ClaimValidationRules = nil
	update(t, object)
	eventually(t, proves(nil), "the rule gone")

	neighbour := i.Provider(system, "neighbour", "other:", func(s *v1alpha1.JWTProvider) { s.Issuer.Audiences = []v1alpha1.Audience{"other"} })
	neighbour.UID, neighbour.Generation = "", 0
	create(t, neighbour)
	remove(t, object)
	eventually(t, proves(identity.ErrBadCredentials), "the deleted provider not trusted any more")
}

func TestAnHtpasswdUserIsNoServiceAccount(t *testing.T) {
	o := startReady(t)
	a := identity.New(identity.Options{})
	secret := usersSecret(t, "forged", map[string]string{"honest": "x", "system:serviceaccount:ci:builder": "x", "system:masters": "x"})
	create(t, secret, htpasswd("forged", "forged", ""))
	eventually(t, login(t, o, a, "honest", "x", nil), "the other lines used")
	for _, user := range []string{"system:serviceaccount:ci:builder", "system", "system:masters", "system:anonymous"} {
		if !login(t, o, a, user, "x", identity.ErrBadCredentials)() {
			t.Errorf("%s is not refused", user)
		}
	}
}

// TestWithoutTheAPIServer holds what a server still does while the API server is away, and that it catches up.
func TestWithoutTheAPIServer(t *testing.T) {
	own, err := controlplane.StartWith(controlplane.Options{CertDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = own.Stop() })
	ctx := context.Background()
	config, err := own.ServerConfig(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := own.CreateNamespace(ctx, "ci", nil); err != nil {
		t.Fatal(err)
	}
	token, err := own.ServiceAccountToken(ctx, "ci", "builder", time.Hour, "tokenwright")
	if err != nil {
		t.Fatal(err)
	}
	accounts := &v1alpha1.IdentityProvider{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "accounts"}}
	accounts.Spec.Kubernetes = &v1alpha1.KubernetesProvider{Audiences: []v1alpha1.Audience{"tokenwright"}}
	owner := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "registry"},
		Spec: v1alpha1.SigningKeySpec{Audiences: []v1alpha1.Audience{"registry.example.com"}, KeyIdentification: v1alpha1.KeyID}}
	if err := errors.Join(own.Client.Create(ctx, accounts), own.Client.Create(ctx, owner)); err != nil {
		t.Fatal(err)
	}
	key := newKey(t, v1alpha1.KeyActive)
	if err := own.Client.Create(ctx, secretOf(t, owner, 1, key)); err != nil {
		t.Fatal(err)
	}
	cluster, err := identity.NewCluster(config)
	if err != nil {
		t.Fatal(err)
	}
	o := start(t, config)
	a := identity.New(identity.Options{Cluster: cluster, Log: testr.New(t)})
	builder := func() (caller.Caller, error) {
		return a.Authenticate(ctx, o.holder.Load(), identity.Credentials{Username: "x", Password: token, Present: true}, time.Now())
	}
	o.waitSigns(t, "registry.example.com", key.KeyID)
	eventually(t, func() bool { _, err := builder(); return err == nil }, "the ServiceAccount known")

	if err := own.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := own.Client.Get(ctx, client.ObjectKeyFromObject(owner), owner.DeepCopy()); err == nil {
		t.Fatal("the API server still answers")
	}
	eventually(t, func() bool { return o.Stats().Away }, "the loss seen")
	// Past what is remembered of the last review.
	later := time.Now().Add(time.Minute)
	got, err := a.Authenticate(ctx, o.holder.Load(), identity.Credentials{Password: token, Present: true}, later)
	if err != nil || got.Username != "system:serviceaccount:ci:builder" {
		t.Errorf("OnlinePreferred without the API server: %+v, %v", got, err)
	}
	if o.signs("registry.example.com") != key.KeyID || o.Ready() != nil {
		t.Errorf("without the API server: %s, %v", o.signs("registry.example.com"), o.Ready())
	}

	if err := own.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	policy := &v1alpha1.ClusterAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "late"}}
	policy.Spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}}
	policy.Spec.Rules = []v1alpha1.Rule{{Type: "repository", Names: []v1alpha1.ResourceName{"late/**"}, Actions: []v1alpha1.Action{"pull"}}}
	eventually(t, func() bool { return own.Client.Create(ctx, policy) == nil }, "the API server back")
	eventually(t, o.mays("late", "pull"), "the new policy seen")
	t.Logf("Caught up %s after the API server was back", time.Since(began))
}
