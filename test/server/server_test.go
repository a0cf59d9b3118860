// Package server tests the token server as it runs: over HTTP, against a real API server, with the rights of its own
// ServiceAccount. What the manager would write, these tests write.
package server

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const (
	service = "registry.example.com"
	system  = controlplane.SystemNamespace
)

// world is a control plane with a server beside it.
type world struct {
	plane       *controlplane.Plane
	line        *line
	url, health string
	audit       string
	client      *http.Client
	// stop ends the server in order.
	stop func()
}

func TestTheServer(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	account, err := w.plane.ServiceAccountToken(ctx, "team-a", "ci", time.Hour, "tokenwright")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := w.plane.ServiceAccountToken(ctx, "team-a", "ci", time.Hour, "somebody-else")
	if err != nil {
		t.Fatal(err)
	}
	push := "repository:team-a/app:pull,push"

	t.Run("A caller whom no policy names gets an empty token", func(t *testing.T) {
		w.wants(t, "alice", "secret", push, nil)
	})
	t.Run("A wrong password is 401", func(t *testing.T) {
		if got := w.ask(t, "alice", "wrong", push); got.status != http.StatusUnauthorized {
			t.Errorf("status %d", got.status)
		}
	})
	t.Run("A ServiceAccount token for another audience is 401", func(t *testing.T) {
		if got := w.ask(t, "ci", foreign, push); got.status != http.StatusUnauthorized {
			t.Errorf("status %d", got.status)
		}
	})

	t.Run("Junk by the thousand costs the API server nothing", func(t *testing.T) { w.junk(t, account, foreign) })

	users := []v1alpha1.Subject{
		{Kind: v1alpha1.SubjectUser, Name: "alice"}, {Kind: v1alpha1.SubjectServiceAccount, Namespace: "team-a", Name: "ci"},
	}
	policy := accessPolicy("team-a", "pushes", users, "team-a/**", "pull", "push")
	w.create(t, policy)
	t.Run("A policy takes effect, and the deletion takes it away", func(t *testing.T) {
		w.becomes(t, "alice", "secret", push, []string{push})
		w.wants(t, "ci", account, push, []string{push})
		if claims := w.claims(t, w.ask(t, "ci", account, push)); claims.Subject != "system:serviceaccount:team-a:ci" {
			t.Errorf("subject = %q", claims.Subject)
		}
		if err := w.plane.Client.Delete(ctx, policy); err != nil {
			t.Fatal(err)
		}
		w.becomes(t, "alice", "secret", push, nil)
		w.wants(t, "ci", account, push, nil)
	})
	t.Run("A tenant cannot speak of what is not the tenant's", func(t *testing.T) {
		w.create(t, accessPolicy("team-b", "greedy", users, "team-a/**", "pull", "push"))
		w.create(t, accessPolicy("team-b", "own", users, "team-b/**", "pull"))
		w.becomes(t, "alice", "secret", push+" repository:team-b/app:pull", []string{"repository:team-b/app:pull"})
	})
	t.Run("A service that no SigningKey holds is 400, and 503 while its key is missing", func(t *testing.T) {
		query := url.Values{"service": {"later.example.com"}}
		if got := w.get(t, "", "", query); got.status != http.StatusBadRequest {
			t.Errorf("status %d", got.status)
		}
		w.create(t, &v1alpha1.SigningKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "later"},
			Spec:       v1alpha1.SigningKeySpec{Audiences: []v1alpha1.Audience{"later.example.com"}},
		})
		w.eventually(t, "the audience is known", func() bool { return w.get(t, "", "", query).status == http.StatusServiceUnavailable })
	})
	t.Run("Tokens still come while the API server is away", func(t *testing.T) {
		w.line.cut()
		w.wants(t, "alice", "secret", "repository:team-b/app:pull", []string{"repository:team-b/app:pull"})
		w.wants(t, "ci", account, "repository:team-b/app:pull", []string{"repository:team-b/app:pull"})
		if got := w.send(t, w.health+"/readyz", nil); got.status != http.StatusOK {
			t.Errorf("readyz = %d %s", got.status, got.body)
		}
		other := accessPolicy("team-a", "later", users, "team-a/**", "pull")
		w.create(t, other)
		w.line.mend()
		w.becomes(t, "alice", "secret", "repository:team-a/app:pull", []string{"repository:team-a/app:pull"})
	})
	t.Run("A SigningKey that is deleted signs nothing, and what it signed verifies", w.deletion)
	t.Run("Junk that looks like refresh tokens costs the API server nothing", w.junkRefresh)
	t.Run("The audit log holds neither password nor token", func(t *testing.T) {
		w.holdsNoSecret(t, account)
	})
}

// start starts a control plane, what the manager and people would have put into it, and a server.
func start(t *testing.T) *world {
	t.Helper()
	return startOn(t, startPlane(t, controlplane.Options{}), nil)
}

func startPlane(t *testing.T, o controlplane.Options) *controlplane.Plane {
	t.Helper()
	plane, err := controlplane.StartWith(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	return plane
}

// startOn starts a server and puts into an empty control plane what the manager and people would have; change may be nil.
func startOn(t *testing.T, plane *controlplane.Plane, change func(*tokenserver.Options)) *world {
	t.Helper()
	config, err := plane.ServerConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := serve(t, plane, config, change)
	w.eventually(t, "a server without a SigningKey is ready", func() bool { return w.send(t, w.health+"/readyz", nil).status == http.StatusOK })
	for _, name := range []string{"team-a", "team-b"} {
		if err := plane.CreateNamespace(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	w.populate(t)
	w.eventually(t, "there is a key and a user", func() bool { return w.ask(t, "alice", "secret", "").status == http.StatusOK })
	w.eventually(t, "ServiceAccounts are known", func() bool {
		account, err := plane.ServiceAccountToken(t.Context(), "team-a", "probe", time.Hour, "tokenwright")
		return err == nil && w.ask(t, "probe", account, "").status == http.StatusOK
	})
	return w
}

// populate creates a SigningKey with the Secret that the manager would write, and two IdentityProviders.
func (w *world) populate(t *testing.T) {
	t.Helper()
	w.createKey(t, "registry", service, newKey(t, v1alpha1.KeyActive))
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	w.create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "users", Labels: map[string]string{v1alpha1.LabelWatch: "true"}},
		Data:       map[string][]byte{"htpasswd": fmt.Appendf(nil, "alice:%s\n", hash)},
	})
	people := &v1alpha1.IdentityProvider{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "people"}}
	people.Spec.Htpasswd = &v1alpha1.HtpasswdProvider{SecretRef: v1alpha1.SecretKeyRef{Name: "users", Key: "htpasswd"}}
	w.create(t, people)
	cluster := &v1alpha1.IdentityProvider{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "cluster"}}
	cluster.Spec.Kubernetes = &v1alpha1.KubernetesProvider{Audiences: []v1alpha1.Audience{"tokenwright"}}
	w.create(t, cluster)
}

// holdsNoSecret reads the audit log for what must not be in it.
func (w *world) holdsNoSecret(t *testing.T, more ...string) {
	t.Helper()
	log, err := os.ReadFile(w.audit)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range append(more, "secret\"", "eyJ", "twr_") {
		if strings.Contains(string(log), secret) {
			t.Errorf("it holds %.10s", secret)
		}
	}
}

func newKey(t *testing.T, state v1alpha1.KeyState) keyring.Key {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	key, err := keyring.GenerateKey(rand.Reader, keyring.Params{Algorithm: v1alpha1.ES256, Format: v1alpha1.Thumbprint, TokenLifetime: 15 * time.Minute}, now)
	if err != nil {
		t.Fatal(err)
	}
	key.State, key.Published, key.Activated, key.SignUntil = state, now, now, now.Add(time.Hour)
	return key
}

// createKey creates a SigningKey with the Secret that the manager would write.
func (w *world) createKey(t *testing.T, name string, audience v1alpha1.Audience, keys ...keyring.Key) *corev1.Secret {
	t.Helper()
	owner := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name},
		Spec:       v1alpha1.SigningKeySpec{Audiences: []v1alpha1.Audience{audience}, KeyIdentification: v1alpha1.KeyID},
	}
	w.create(t, owner)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: system, Name: keyring.SecretName(name),
			Labels:          map[string]string{v1alpha1.LabelSigningKey: keyring.Label(name), v1alpha1.LabelWatch: "true"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, v1alpha1.GroupVersion.WithKind("SigningKey"))},
		},
		Type: keyring.SecretType, Data: encode(t, 1, keys...),
	}
	w.create(t, secret)
	return secret
}

func encode(t *testing.T, generation int64, keys ...keyring.Key) map[string][]byte {
	t.Helper()
	data, err := keyring.Encode(keyring.Ring{Generation: generation, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func accessPolicy(namespace, name string, subjects []v1alpha1.Subject, repository v1alpha1.ResourceName, actions ...v1alpha1.Action) *v1alpha1.AccessPolicy {
	p := &v1alpha1.AccessPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	p.Spec.Subjects = subjects
	p.Spec.Rules = []v1alpha1.Rule{{Type: v1alpha1.TypeRepository, Names: []v1alpha1.ResourceName{repository}, Actions: actions}}
	return p
}

func (w *world) create(t *testing.T, object client.Object) {
	t.Helper()
	if err := w.plane.Client.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

func (w *world) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("within 30 s it did not happen: %s", what)
		}
	}
}

// reply is an answer of the server, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (w *world) send(t *testing.T, address string, change func(*http.Request)) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(request)
	}
	return w.do(t, request)
}

func (w *world) do(t *testing.T, request *http.Request) reply {
	t.Helper()
	response, err := w.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, body}
}

func (w *world) get(t *testing.T, user, password string, query url.Values) reply {
	t.Helper()
	return w.send(t, w.url+"/token?"+query.Encode(), func(request *http.Request) {
		if user != "" {
			request.SetBasicAuth(user, password)
		}
	})
}

func (w *world) ask(t *testing.T, user, password, scope string) reply {
	t.Helper()
	return w.get(t, user, password, url.Values{"service": {service}, "scope": {scope}})
}

// claims verifies the token of an answer against the JWKS that the server serves.
func (w *world) claims(t *testing.T, answer reply) token.RegistryClaims {
	t.Helper()
	if answer.status != http.StatusOK {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	var fields struct {
		Token string `json:"token"`
	}
	var set jose.JSONWebKeySet
	keys := w.send(t, w.url+"/.well-known/jwks.json", nil)
	if err := errors.Join(json.Unmarshal(answer.body, &fields), json.Unmarshal(keys.body, &set)); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(fields.Token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify(set)
	if err != nil {
		t.Fatal(err)
	}
	var claims token.RegistryClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func (w *world) granted(t *testing.T, user, password, scope string) []string {
	t.Helper()
	var scopes []string
	for _, a := range w.claims(t, w.ask(t, user, password, scope)).Access {
		scopes = append(scopes, a.Type+":"+a.Name+":"+strings.Join(a.Actions, ","))
	}
	return scopes
}

func (w *world) wants(t *testing.T, user, password, scope string, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, w.granted(t, user, password, scope)); diff != "" {
		t.Errorf("granted to %s (-want +got):\n%s", user, diff)
	}
}

// becomes waits until the grant is as wanted, and says how long that took.
func (w *world) becomes(t *testing.T, user, password, scope string, want []string) {
	t.Helper()
	began := time.Now()
	w.eventually(t, fmt.Sprintf("%s is granted %v", user, want), func() bool { return cmp.Equal(want, w.granted(t, user, password, scope)) })
	t.Logf("It took effect after %s", time.Since(began).Round(time.Millisecond))
}
