package cmd

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func manual(spec *v1alpha1.SigningKeySpec) { spec.Rotation.Mode = v1alpha1.RotationManual }

func (b *keysBench) testRotate(t *testing.T) {
	t.Run("at once, and waits for it", b.rotatesAtOnce)
	t.Run("twice", b.rotatesTwice)
	t.Run("later", b.rotatesLater)
	t.Run("mode Never", b.rotatesNever)
	t.Run("mode Manual", b.rotatesByHandOnly)
	t.Run("without a manager", b.rotatesWithoutManager)
}

func (b *keysBench) rotatesAtOnce(t *testing.T) {
	key := b.ready(t, "rotated")
	before := key.Status.ActiveKeyID
	got := b.keys(t, "rotate", "rotated", "--wait")
	b.read(t, key)
	if got.Status != 0 {
		t.Errorf("%+v", got)
	}
	if want := "Asked for the next key of SigningKey \"rotated\".\n"; !strings.HasPrefix(got.Stdout, want) {
		t.Errorf("want first %q, got %q", want, got.Stdout)
	}
	if want := fmt.Sprintf("Key %q signs now, instead of %q.\n", key.Status.ActiveKeyID, before); !strings.HasSuffix(got.Stdout, want) {
		t.Errorf("want last %q, got %q", want, got.Stdout)
	}
	if key.Status.ActiveKeyID == before {
		t.Errorf("key %s still signs", before)
	}
	wroteOnly(t, key, `{"f:metadata":{"f:annotations":{".":{},"f:tokenwright.dev/rotate":{}}}}`)
}

// wroteOnly shows that the command owns these fields and no others.
func wroteOnly(t *testing.T, key *v1alpha1.SigningKey, fields string) {
	t.Helper()
	for _, m := range key.ManagedFields {
		if m.Manager == string(cliOwner) {
			if diff := cmp.Diff(fields, m.FieldsV1.GetRawString()); diff != "" {
				t.Errorf("owns (-want +got):\n%s", diff)
			}
			return
		}
	}
	t.Errorf("owns nothing: %v", key.ManagedFields)
}

// rotatesTwice shows that each command is a new request.
func (b *keysBench) rotatesTwice(t *testing.T) {
	key := b.ready(t, "twice")
	seen := []string{key.Status.ActiveKeyID}
	for range 2 {
		if got := b.keys(t, "rotate", "twice", "--wait"); got.Status != 0 {
			t.Fatalf("%+v", got)
		}
		b.read(t, key)
		if slices.Contains(seen, key.Status.ActiveKeyID) {
			t.Errorf("key %s signs again", key.Status.ActiveKeyID)
		}
		seen = append(seen, key.Status.ActiveKeyID)
	}
	s := &session{now: func() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 5, time.UTC) }}
	one, other := s.newRequest(), s.newRequest()
	if one == other || !regexp.MustCompile(`^2026-03-01T00:00:00\.000000005Z-[0-9A-Z]{8}$`).MatchString(one) {
		t.Errorf("requests %q and %q of the same time must differ", one, other)
	}
}

// rotatesLater shows what is said when the standby is too young, and that waiting in vain is not begun.
func (b *keysBench) rotatesLater(t *testing.T) {
	key := b.ready(t, "later", func(spec *v1alpha1.SigningKeySpec) { spec.Rotation.PublishAhead = "2h" })
	standby, _ := inState(key, v1alpha1.KeyPublished)
	published, err := standby.PublishedTime.Parse()
	if err != nil {
		t.Fatal(err)
	}
	// The manager keeps fractions of a second, the status does not: the sum may be a second later.
	at := published.Add(2*time.Hour + time.Second)
	line := regexp.MustCompile(fmt.Sprintf(`(?m)^It will sign from (%s|%s) \(in [0-9]+m\) on\.$`,
		at.Format(time.RFC3339), at.Add(time.Second).Format(time.RFC3339)))
	poll(t, func() error { // a manager that is slow to take notice has a warning instead
		if got := b.keys(t, "rotate", "later"); got.Status != 0 || !line.MatchString(got.Stdout) {
			return fmt.Errorf("want %s, got %+v", line, got)
		}
		return nil
	})
	again := b.keys(t, "rotate", "later", "--wait")
	if want := "error: that is later than --timeout=5m0s: not waiting; the request stands\n"; again.Status != 1 || again.Stderr != want {
		t.Errorf("want %q, got %+v", want, again)
	}
}

func (b *keysBench) rotatesNever(t *testing.T) {
	key := b.ready(t, "never", func(spec *v1alpha1.SigningKeySpec) { spec.Rotation.Mode = v1alpha1.RotationNever })
	before := key.Status.ActiveKeyID
	got := b.keys(t, "rotate", "never", "--wait")
	b.read(t, key)
	if got.Status != 0 || key.Status.ActiveKeyID == before {
		t.Errorf("want another key than %s, got %+v", before, got)
	}
	said(t, got.Stdout, `In mode Never verifiers hold one key: give them the new key.pem of ConfigMap "never-keys" as soon as it signs.`)
}

func (b *keysBench) rotatesByHandOnly(t *testing.T) {
	key := b.ready(t, "by-hand", manual)
	standby, _ := inState(key, v1alpha1.KeyPublished)
	want := output{1, "", fmt.Sprintf(
		"error: SigningKey \"by-hand\" has rotation.mode Manual: the next key signs when somebody names it: tokenwright keys activate by-hand %s\n",
		standby.KeyID)}
	if diff := cmp.Diff(want, b.keys(t, "rotate", "by-hand")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.read(t, key)
	if len(key.Annotations) > 0 {
		t.Errorf("asked all the same: %v", key.Annotations)
	}
}

// rotatesWithoutManager shows that nobody is told that something will happen when nobody is there to do it.
func (b *keysBench) rotatesWithoutManager(t *testing.T) {
	b.static(t, "alone", v1alpha1.SigningKeyStatus{
		Conditions: conditions(), ObservedGeneration: 1, Keys: someKeys(), ActiveKeyID: libTrust256, NextRotationTime: "2026-03-31T00:00:00Z",
	})
	b.static(t, "held", v1alpha1.SigningKeyStatus{ObservedGeneration: 1, Keys: someKeys(), Conditions: conditions(
		metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonInvalidSpec, Message: "It contradicts itself"},
	)})
	cases := map[string]struct {
		reason string
		args   []string
		want   output
	}{
		"no answer": {
			"the time in the status is from before the request", []string{"alone", "--wait", "--timeout=1s"},
			output{
				1, "Asked for the next key of SigningKey \"alone\".\n",
				"warning: the manager has not taken notice within 5s: is it running? The request stands\n" +
					"error: the rotation did not come about within 1s: SigningKey \"alone\" is Ready: Signing: Key signs\n",
			},
		},
		"something stands in the way": {
			"it is said, and no time", []string{"held"},
			output{
				0, "Asked for the next key of SigningKey \"held\".\n",
				"warning: SigningKey \"held\" is not Ready: InvalidSpec: It contradicts itself\n",
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, b.keys(t, append([]string{"rotate", "-n", unmanaged}, tc.args...)...)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
