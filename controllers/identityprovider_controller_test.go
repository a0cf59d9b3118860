package controllers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func htpasswdProvider(namespace, name, secret, prefix string) *v1alpha1.IdentityProvider {
	return &v1alpha1.IdentityProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{
			SecretRef: v1alpha1.SecretKeyRef{Name: secret, Key: "htpasswd"}, Prefix: prefix,
		}},
	}
}

// usersSecret returns a labelled Secret with the file.
func usersSecret(namespace, name, file string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{v1alpha1.LabelWatch: "true"}},
		Data:       map[string][]byte{"htpasswd": []byte(file)},
	}
}

// line returns a line of an htpasswd file.
func line(t *testing.T, user string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatalf("hash: %v", err)
	}
	return user + ":" + string(hash) + "\n"
}

// served waits until the provider's status says what is wanted.
func served(t *testing.T, p *v1alpha1.IdentityProvider, want map[string]said) {
	t.Helper()
	eventually(t, func() error {
		refresh(t, p)
		if p.Status.ObservedGeneration != p.Generation {
			return fmt.Errorf("observed generation %d, want %d", p.Status.ObservedGeneration, p.Generation)
		}
		if diff := cmp.Diff(want, conditionsOf(p.Status.Conditions)); diff != "" {
			return fmt.Errorf("conditions of %s (-want +got):\n%s", p.Name, diff)
		}
		return nil
	})
}

func serving() map[string]said { return map[string]said{"Ready": {"True", v1alpha1.ReasonServing}} }

func notServing(reason string) map[string]said {
	return map[string]said{"Ready": {"False", reason}, "Stalled": {"True", reason}}
}

func TestIdentityProviderFollowsItsSecret(t *testing.T) {
	o := testOptions(t, "idp-follows")
	startManager(t, plane.Config, o)
	p := htpasswdProvider(o.Namespace, "users", "users", "")
	create(t, p)
	served(t, p, map[string]said{"Ready": {"False", v1alpha1.ReasonSecretNotFound}})
	if p.Status.Type != "htpasswd" {
		t.Errorf("status.type is %q, want htpasswd", p.Status.Type)
	}

	secret := usersSecret(o.Namespace, "users", line(t, "alice"))
	create(t, secret)
	served(t, p, serving())

	secret.Data = map[string][]byte{"other": nil}
	if err := plane.Client.Update(t.Context(), secret); err != nil {
		t.Fatalf("update the Secret: %v", err)
	}
	served(t, p, notServing(v1alpha1.ReasonKeyNotFound))

	secret.Data = map[string][]byte{"htpasswd": []byte(line(t, "bob"))}
	if err := plane.Client.Update(t.Context(), secret); err != nil {
		t.Fatalf("update the Secret: %v", err)
	}
	served(t, p, serving())

	secret.Labels = nil
	if err := plane.Client.Update(t.Context(), secret); err != nil {
		t.Fatalf("take the label off the Secret: %v", err)
	}
	served(t, p, notServing(v1alpha1.ReasonSecretNotLabelled))
}

// TestIdentityProviderSaysWhichLinesAreBad shows that a message tells a person where to look and a reader of statuses
// nothing: not the users' names, and not the password that somebody forgot to hash.
func TestIdentityProviderSaysWhichLinesAreBad(t *testing.T) {
	o := testOptions(t, "idp-lines")
	startManager(t, plane.Config, o)
	const forgotten = "mallory:hunter2\n"
	cases := map[string]struct {
		reason, name, file string
		want               map[string]said
	}{
		"some lines": {
			reason: "the others serve", name: "some", file: line(t, "alice") + forgotten,
			want: map[string]said{"Ready": {"True", v1alpha1.ReasonInvalidEntry}},
		},
		"all lines": {
			reason: "nobody can be known", name: "all", file: forgotten,
			want: notServing(v1alpha1.ReasonInvalidEntry),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := htpasswdProvider(o.Namespace, c.name, c.name, c.name+"-")
			create(t, usersSecret(o.Namespace, c.name, c.file), p)
			served(t, p, c.want)
			for _, condition := range p.Status.Conditions {
				if !strings.ContainsAny(condition.Message, "0123456789") {
					t.Errorf("%s: the message gives no line number: %q", c.reason, condition.Message)
				}
				for _, secret := range []string{"mallory", "hunter2", "alice"} {
					if strings.Contains(condition.Message, secret) {
						t.Errorf("the message gives away %q: %q", secret, condition.Message)
					}
				}
			}
		})
	}
}

func TestIdentityProviderGivesWayToItsElder(t *testing.T) {
	o := testOptions(t, "idp-elder")
	startManager(t, plane.Config, o)
	create(t, usersSecret(o.Namespace, "users", line(t, "alice")))
	// Made in the same second, the name decides.
	elder := htpasswdProvider(o.Namespace, "a-elder", "users", "corp-")
	create(t, elder)
	served(t, elder, serving())
	younger := htpasswdProvider(o.Namespace, "b-younger", "users", "corp-")
	create(t, younger)
	served(t, younger, notServing(v1alpha1.ReasonPrefixTaken))
	served(t, elder, serving())

	if err := plane.Client.Delete(t.Context(), elder); err != nil {
		t.Fatalf("delete the elder: %v", err)
	}
	served(t, younger, serving())
}

func TestIdentityProviderOfKubernetesServes(t *testing.T) {
	o := testOptions(t, "idp-kubernetes")
	startManager(t, plane.Config, o)
	p := &v1alpha1.IdentityProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: "cluster"},
		Spec: v1alpha1.IdentityProviderSpec{Kubernetes: &v1alpha1.KubernetesProvider{
			Audiences: []v1alpha1.Audience{"tokenwright"},
		}},
	}
	create(t, p)
	served(t, p, serving())
	if p.Status.Type != "kubernetes" {
		t.Errorf("status.type is %q, want kubernetes", p.Status.Type)
	}
}

// TestIdentityProviderElsewhereIsNobodys shows that a tenant cannot make callers by making a provider in their own
// namespace: the manager does not even look at it.
func TestIdentityProviderElsewhereIsNobodys(t *testing.T) {
	o := testOptions(t, "idp-elsewhere")
	startManager(t, plane.Config, o)
	foreign := htpasswdProvider("default", "foreign", "users", "")
	own := htpasswdProvider(o.Namespace, "own", "users", "")
	create(t, usersSecret(o.Namespace, "users", line(t, "alice")), foreign, own)
	served(t, own, serving())
	refresh(t, foreign)
	if foreign.Status.ObservedGeneration != -1 {
		t.Errorf("the provider in another namespace got a status: %v", foreign.Status)
	}
}

// TestSecretWithoutLabelIsLookedForAgain shows that a Secret that no event tells of is found in the end, and that its
// content is not read.
func TestSecretWithoutLabelIsLookedForAgain(t *testing.T) {
	o := testOptions(t, "idp-again")
	p := htpasswdProvider(o.Namespace, "users", "users", "")
	secret := usersSecret(o.Namespace, "users", line(t, "alice"))
	secret.Labels = nil
	create(t, p)
	o.statusLimit = rate.NewLimiter(rate.Inf, 1)
	r := &identityProviderReconciler{
		// A cache that holds no Secret at all, as it is without the label.
		reader: secretlessReader{plane.Client}, live: plane.Client,
		status: o.statusWriter(plane.Client, "identityprovider"), clock: clock.RealClock{}, namespace: o.Namespace,
		issuers: newIssuerProbe(logr.Discard(), 0),
	}
	look := func(want map[string]said) {
		t.Helper()
		result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)})
		if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > time.Minute {
			t.Errorf("got %v and error %v, want another look within a minute", result, err)
		}
		served(t, p, want)
	}
	look(map[string]said{"Ready": {"False", v1alpha1.ReasonSecretNotFound}})
	create(t, secret)
	look(notServing(v1alpha1.ReasonSecretNotLabelled))

	secret.Labels = map[string]string{v1alpha1.LabelWatch: "true"}
	if err := plane.Client.Update(t.Context(), secret); err != nil {
		t.Fatalf("label the Secret: %v", err)
	}
	_, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)})
	if err == nil {
		t.Errorf("a labelled Secret that the cache does not hold yet was judged, want an error and another look")
	}
	served(t, p, notServing(v1alpha1.ReasonSecretNotLabelled))
}
