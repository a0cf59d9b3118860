package cmd

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// newAuthority is the condition while a new certificate authority waits to be confirmed.
var newAuthority = metav1.Condition{
	Type: v1alpha1.ConditionWarning, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAuthorityUnconfirmed, Message: "Confirm it",
}

// testAuthority shows what is written, what is refused and what is waited for. What the manager does with it is the
// business of its own tests.
func (b *keysBench) testAuthority(t *testing.T) {
	t.Run("asks", b.asksForAuthority)
	t.Run("confirms", b.confirmsAuthority)
	t.Run("refuses", b.refusesAuthority)
	t.Run("asks while one waits", b.asksForAnotherAuthority)
	t.Run("waits", b.waitsForAuthority)
}

func (b *keysBench) asksForAuthority(t *testing.T) {
	key := b.static(t, "ask", v1alpha1.SigningKeyStatus{Conditions: conditions(), ObservedGeneration: 1})
	want := output{Stdout: `Asked for a new certificate authority of SigningKey "ask".
Two steps are left:
1. When ca.crt of ConfigMap "ask-keys" has both certificates, restart every registry that reads it.
2. When all of them have it, and not before, let certificates be from the new one:
   tokenwright keys rotate ask --certificate-authority --confirm --namespace=unmanaged
`}
	if diff := cmp.Diff(want, b.keys(t, "rotate", "ask", "--certificate-authority", "-n", unmanaged)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.read(t, key)
	first := key.Annotations[v1alpha1.AnnotationRotateCA]
	if len(key.Annotations) != 1 || first == "" {
		t.Errorf("annotations %v", key.Annotations)
	}
	b.keys(t, "rotate", "ask", "--certificate-authority", "-n", unmanaged)
	b.read(t, key)
	if key.Annotations[v1alpha1.AnnotationRotateCA] == first {
		t.Error("the second request is not new")
	}
	wroteOnly(t, key, `{"f:metadata":{"f:annotations":{".":{},"f:tokenwright.dev/rotate-ca":{}}}}`)
}

// asksForAnotherAuthority does not refuse: where the one that waits was lost, it is what the warning tells people to do.
func (b *keysBench) asksForAnotherAuthority(t *testing.T) {
	key := b.static(t, "again", v1alpha1.SigningKeyStatus{Conditions: conditions(newAuthority), ObservedGeneration: 1})
	got := b.keys(t, "rotate", "again", "--certificate-authority", "-n", unmanaged)
	want := "warning: a new certificate authority waits already, and the manager makes no other beside it: AuthorityUnconfirmed: Confirm it\n"
	if b.read(t, key); got.Status != 0 || got.Stderr != want || key.Annotations[v1alpha1.AnnotationRotateCA] == "" {
		t.Errorf("want %q, got %+v with annotations %v", want, got, key.Annotations)
	}
}

func (b *keysBench) confirmsAuthority(t *testing.T) {
	for name, warning := range map[string]metav1.Condition{
		"alone": newAuthority,
		"behind a warning that is more important": {
			Type: v1alpha1.ConditionWarning, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSignUntilNear,
			Message: "soon nobody signs; the next certificate authority waits: run tokenwright keys rotate x --certificate-authority --confirm",
		},
	} {
		t.Run(name, func(t *testing.T) { b.confirmsWarned(t, warning) })
	}
}

func (b *keysBench) confirmsWarned(t *testing.T, warning metav1.Condition) {
	key := b.static(t, "confirm", v1alpha1.SigningKeyStatus{
		Conditions: conditions(warning), ObservedGeneration: 1, LastHandledRotateCA: "the second",
	}, func(key *v1alpha1.SigningKey) {
		key.Annotations = map[string]string{v1alpha1.AnnotationRotateCA: "the second", v1alpha1.AnnotationConfirmCA: "the first"}
	})
	want := output{Stdout: `Confirmed: certificates of SigningKey "confirm" are from the new certificate authority from now on.
The old one leaves ca.crt when the last token under it is dead; no registry has to be restarted for that.
`}
	if diff := cmp.Diff(want, b.keys(t, "rotate", "confirm", "--certificate-authority", "--confirm", "-n", unmanaged)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.read(t, key)
	if got := key.Annotations[v1alpha1.AnnotationConfirmCA]; got != "the second" {
		t.Errorf("confirmed %q", got)
	}
}

func (b *keysBench) refusesAuthority(t *testing.T) {
	status := v1alpha1.SigningKeyStatus{Conditions: conditions(), ObservedGeneration: 1, LastHandledRotateCA: "1"}
	annotated := func(value string) func(*v1alpha1.SigningKey) {
		return func(key *v1alpha1.SigningKey) {
			key.Annotations = map[string]string{v1alpha1.AnnotationRotateCA: value}
		}
	}
	waits := status
	waits.Conditions = conditions(newAuthority)
	b.static(t, "done", status, annotated("1"))
	b.static(t, "unseen", status, annotated("2"))
	b.static(t, "kid", waits, func(key *v1alpha1.SigningKey) { key.Spec.KeyIdentification = v1alpha1.KeyID })
	cases := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"nothing waits to be confirmed": {
			"a confirmation would be for something that does not exist yet", []string{"done", "--confirm"},
			`SigningKey "done" has no certificate authority that waits to be confirmed; to ask for one: tokenwright keys rotate done --certificate-authority --namespace=unmanaged`,
		},
		"the request is not answered yet": {
			"no registry can have it", []string{"unseen", "--confirm"},
			`the new certificate authority of SigningKey "unseen" is not published yet: wait until it is in ca.crt of ConfigMap "unseen-keys", and restart the registries that read it: SigningKey "unseen" is Ready: Signing: Key signs`,
		},
		"keys without certificates": {
			"", []string{"kid"}, `SigningKey "kid" has no certificate authority: its keyIdentification is KeyID, not X509Chain`,
		},
		"to confirm for keys without certificates": {
			"", []string{"kid", "--confirm"}, `SigningKey "kid" has no certificate authority: its keyIdentification is KeyID, not X509Chain`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := b.keys(t, append([]string{"rotate", "--certificate-authority", "-n", unmanaged}, tc.args...)...)
			if diff := cmp.Diff(output{1, "", "error: " + tc.want + "\n"}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func (b *keysBench) waitsForAuthority(t *testing.T) {
	key := b.static(t, "slow", v1alpha1.SigningKeyStatus{Conditions: conditions(), ObservedGeneration: 1})
	cases := []struct {
		reason, annotation string
		answer             func(*v1alpha1.SigningKey)
		args               []string
		want               string
	}{
		{
			"the person may go to restart registries", v1alpha1.AnnotationRotateCA,
			func(key *v1alpha1.SigningKey) {
				key.Status.LastHandledRotateCA = key.Annotations[v1alpha1.AnnotationRotateCA]
				key.Status.Conditions = conditions(newAuthority)
			},
			nil, "It is in ca.crt of ConfigMap \"slow-keys\", beside the old one.\n",
		},
		{
			"the old authority certifies no more", v1alpha1.AnnotationConfirmCA,
			func(key *v1alpha1.SigningKey) { key.Status.Conditions = conditions() },
			[]string{"--confirm"}, "The key that signs has its certificate.\n",
		},
	}
	for _, tc := range cases {
		answered := b.answers(t, key, tc.annotation, tc.answer)
		got := b.keys(t, append([]string{"rotate", "slow", "--certificate-authority", "--wait", "-n", unmanaged}, tc.args...)...)
		if err := <-answered; err != nil {
			t.Fatalf("answer in place of the manager: %v", err)
		}
		if got.Status != 0 || !strings.Contains(got.Stdout, tc.want) {
			t.Errorf("%s: want %q, got %+v", tc.reason, tc.want, got)
		}
	}
	late := b.keys(t, "rotate", "slow", "--certificate-authority", "--wait", "--timeout=1s", "-n", unmanaged)
	want := "error: the new certificate authority did not come about within 1s: SigningKey \"slow\" is Ready: Signing: Key signs\n"
	if late.Status != 1 || late.Stderr != want {
		t.Errorf("want %q, got %+v", want, late)
	}
}

// answers writes, in place of a manager, the status that is due as soon as the annotation is there.
func (b *keysBench) answers(t *testing.T, key *v1alpha1.SigningKey, annotation string, due func(*v1alpha1.SigningKey)) <-chan error {
	done := make(chan error, 1)
	ctx := t.Context()
	go func() {
		now := key.DeepCopy()
		done <- wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			if err := b.plane.Client.Get(ctx, client.ObjectKeyFromObject(key), now); err != nil || now.Annotations[annotation] == "" {
				return false, err
			}
			due(now)
			return true, b.plane.Client.Status().Update(ctx, now)
		})
	}()
	return done
}
