package cmd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func (b *keysBench) testRevoke(t *testing.T) {
	t.Run("the key that signs", b.revokesActive)
	t.Run("all", b.revokesAll)
	t.Run("a retired key by another id", b.revokesRetired)
	t.Run("an unknown key", b.revokesUnknown)
	t.Run("while others write", b.revokesDespiteConflicts)
	t.Run("without a manager", b.revokesWithoutManager)
	t.Run("without waiting", b.revokesWithoutWaiting)
}

// statesOf maps the keys to their states.
func statesOf(key *v1alpha1.SigningKey) map[string]v1alpha1.KeyState {
	states := map[string]v1alpha1.KeyState{}
	for _, k := range key.Status.Keys {
		states[k.KeyID] = k.State
	}
	return states
}

func (b *keysBench) revokesActive(t *testing.T) {
	key := b.ready(t, "leaked")
	active, _ := inState(key, v1alpha1.KeyActive)
	standby, _ := inState(key, v1alpha1.KeyPublished)
	signUntil, err := active.SignUntil.Parse()
	if err != nil {
		t.Fatal(err)
	}
	got := b.keys(t, "revoke", "leaked", active.KeyID, "--timeout=5m")
	want := output{Stdout: fmt.Sprintf(`SigningKey "leaked": key %q (Active) is in spec.revokedKeyIDs.
Key %q signs now, instead of %q.
Verifiers that fetch the JWKS refuse the tokens of revoked keys as soon as they have fetched it again.
Registries that verify by certificate (x5c) do not learn of it: whoever has a revoked key can sign for them
until %s (in 60d). To end that sooner, replace the certificate authority:
   tokenwright keys rotate leaked --certificate-authority
If GitOps or a file owns SigningKey "leaked", add to spec.revokedKeyIDs there, or the next apply may take away
(revoked keys stay revoked all the same):
   - %s
`, active.KeyID, standby.KeyID, active.KeyID, signUntil.Add(15*time.Minute+2*time.Minute).Format(time.RFC3339), active.KeyID)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.read(t, key)
	if states := statesOf(key); states[active.KeyID] != v1alpha1.KeyRevoked || states[standby.KeyID] != v1alpha1.KeyActive {
		t.Errorf("states %v", states)
	}
	wroteOnly(t, key, fmt.Sprintf(`{"f:spec":{"f:revokedKeyIDs":{".":{},"v:\"%s\"":{}}}}`, active.KeyID))

	again := b.keys(t, "revoke", "leaked", active.Thumbprint)
	if want := fmt.Sprintf("SigningKey \"leaked\": key %q (Revoked) is in spec.revokedKeyIDs.\nKey %q signs, as before.\n", active.KeyID, standby.KeyID); again.Status != 0 || !strings.HasPrefix(again.Stdout, want) || strings.Contains(again.Stdout, "GitOps") {
		t.Errorf("a command that is run again: want first %q, got %+v", want, again)
	}
	b.read(t, key)
	if diff := cmp.Diff([]string{active.KeyID}, key.Spec.RevokedKeyIDs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func (b *keysBench) revokesAll(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.SigningKeySpec){
		"automatic": func(*v1alpha1.SigningKeySpec) {},
		"manual":    manual,
		"never":     func(spec *v1alpha1.SigningKeySpec) { spec.Rotation.Mode = v1alpha1.RotationNever },
	} {
		t.Run(name, func(t *testing.T) {
			key := b.ready(t, "all-"+name, change)
			before := statesOf(key)
			got := b.keys(t, "revoke", key.Name, "--all", "--timeout=5m")
			b.read(t, key)
			if got.Status != 0 || got.Stderr != "" {
				t.Errorf("%+v", got)
			}
			said(t, got.Stdout, fmt.Sprintf("Key %q signs now, instead of ", key.Status.ActiveKeyID))
			if key.Spec.Rotation.Mode == v1alpha1.RotationNever {
				said(t, got.Stdout, `until they are given the new key.pem of ConfigMap "all-never-keys".`, "for as long as the certificate authority lasts")
			}
			for id := range before {
				if state := statesOf(key)[id]; state != v1alpha1.KeyRevoked {
					t.Errorf("key %s is %s", id, state)
				}
			}
			if _, old := before[key.Status.ActiveKeyID]; old || key.Status.ActiveKeyID == "" {
				t.Errorf("key %q signs, before there were %v", key.Status.ActiveKeyID, before)
			}
		})
	}
}

// revokesRetired takes an id in a format that the status does not show, as the manager does.
func (b *keysBench) revokesRetired(t *testing.T) {
	key := b.ready(t, "former")
	former, _ := inState(key, v1alpha1.KeyActive)
	if got := b.keys(t, "rotate", "former", "--wait"); got.Status != 0 {
		t.Fatalf("%+v", got)
	}
	id := libTrustOf(t, former)
	got := b.keys(t, "revoke", "former", id, "--timeout=5m")
	b.read(t, key)
	if state := statesOf(key)[former.KeyID]; got.Status != 0 || got.Stderr != "" || state != v1alpha1.KeyRevoked {
		t.Errorf("key is %s: %+v", state, got)
	}
	said(t, got.Stdout, fmt.Sprintf("key %q (Retired) is in", former.KeyID), fmt.Sprintf("Key %q signs, as before.", key.Status.ActiveKeyID))
}

func (b *keysBench) revokesUnknown(t *testing.T) {
	key := b.ready(t, "guessed")
	before := statesOf(key)
	got := b.keys(t, "revoke", "guessed", "nobody's")
	want := output{0, "", "warning: no key of SigningKey \"guessed\" has the id \"nobody's\"; it is in spec.revokedKeyIDs and means nothing yet\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.read(t, key)
	if diff := cmp.Diff([]string{"nobody's"}, key.Spec.RevokedKeyIDs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, statesOf(key)); diff != "" {
		t.Errorf("keys changed (-before +after):\n%s", diff)
	}
}

func (b *keysBench) revokesWithoutManager(t *testing.T) {
	key := b.static(t, "alone", v1alpha1.SigningKeyStatus{Conditions: conditions(
		metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonImmutable, Message: "The Secret is immutable"},
		metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonImmutable, Message: "The Secret is immutable"},
	), ObservedGeneration: 1, Keys: someKeys(), ActiveKeyID: libTrust256})
	got := b.keys(t, "revoke", "alone", "--all", "-n", unmanaged, "--timeout=1s")
	want := `error: spec.revokedKeyIDs is written, but the replacement of the keys did not come about within 1s: ` +
		`SigningKey "alone" was changed, and no manager has looked at it since: is one running?; ` +
		`SigningKey "alone" is not Ready and needs a person: Immutable: The Secret is immutable` + "\n"
	if got.Status != 1 || got.Stderr != want {
		t.Errorf("want %q, got %+v", want, got)
	}
	said(t, got.Stdout, "(Active)", "(Published)", "(Pending)", "(Retired)",
		"until 2026-04-30T00:17:00Z", "keys rotate alone --certificate-authority --namespace=unmanaged")
	b.read(t, key)
	if diff := cmp.Diff([]string{libTrust256, "standby", "next", "retired"}, key.Spec.RevokedKeyIDs); diff != "" {
		t.Errorf("what is Revoked already needs no room (-want +got):\n%s", diff)
	}
}

func (b *keysBench) revokesWithoutWaiting(t *testing.T) {
	kid := func(key *v1alpha1.SigningKey) {
		key.Spec.KeyIdentification, key.Spec.Rotation.Mode = v1alpha1.KeyID, v1alpha1.RotationManual
	}
	b.static(t, "hurried", v1alpha1.SigningKeyStatus{Conditions: conditions(), ObservedGeneration: 1, Keys: someKeys()}, kid)
	got := b.keys(t, "revoke", "hurried", "t-standby", "-n", unmanaged, "--wait=false")
	if got.Status != 0 || got.Stderr != "" || strings.Contains(got.Stdout, "signs now") || strings.Contains(got.Stdout, "x5c") {
		t.Errorf("nothing is known of the successor, and there are no certificates: %+v", got)
	}
	said(t, got.Stdout, `key "standby" (Published) is in spec.revokedKeyIDs.`, "   - t-standby\n",
		`Those that read the JWKS of ConfigMap "hurried-keys" once, at start, must be restarted`)
}

// TestReplaced shows when a revocation is called done.
func TestReplaced(t *testing.T) {
	dead := keyRevocation{dead: []v1alpha1.KeyStatus{{KeyID: "a", Thumbprint: "t-a"}}}
	status := func(states ...v1alpha1.KeyState) *v1alpha1.SigningKey {
		key := &v1alpha1.SigningKey{}
		for i, state := range states {
			id := string(rune('a' + i))
			key.Status.Keys = append(key.Status.Keys, v1alpha1.KeyStatus{KeyID: id, Thumbprint: "t-" + id, State: state})
		}
		return key
	}
	deleted := status(v1alpha1.KeyRevoked)
	deleted.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	cases := map[string]struct {
		reason string
		now    *v1alpha1.SigningKey
		want   bool
	}{
		"the key is revoked and another signs": {"", status(v1alpha1.KeyRevoked, v1alpha1.KeyActive), true},
		"the key signs still":                  {"", status(v1alpha1.KeyActive, v1alpha1.KeyPublished), false},
		"nothing signs":                        {"no token can be had", status(v1alpha1.KeyRevoked, v1alpha1.KeyPending), false},
		"nothing will sign":                    {"what is being deleted gets no successor", deleted, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := replaced(tc.now, dead); got != tc.want {
				t.Errorf("got %t: %s", got, tc.reason)
			}
		})
	}
}

// TestRevocationOfMany shows what becomes of the list when it is full.
func TestRevocationOfMany(t *testing.T) {
	numbered := func(prefix string, n int) []string {
		var ids []string
		for i := range n {
			ids = append(ids, fmt.Sprintf("%s%02d", prefix, i))
		}
		return ids
	}
	// Keys of the status: an Active one, a standby, and Retired ones, the first made first.
	with := func(retired int, revoked ...string) *v1alpha1.SigningKey {
		key := &v1alpha1.SigningKey{Spec: v1alpha1.SigningKeySpec{RevokedKeyIDs: revoked}}
		key.Status.Keys = []v1alpha1.KeyStatus{
			{KeyID: "active", Thumbprint: "t-active", State: v1alpha1.KeyActive}, {KeyID: "standby", Thumbprint: "t-standby", State: v1alpha1.KeyPublished},
		}
		for i, id := range numbered("retired", retired) {
			key.Status.Keys = append(key.Status.Keys, v1alpha1.KeyStatus{
				KeyID: id, Thumbprint: "t-" + id, State: v1alpha1.KeyRetired, CreatedTime: v1alpha1.DateTime(fmt.Sprintf("2026-01-01T00:00:%02dZ", i)),
			})
		}
		return key
	}
	type want struct {
		IDs, Dropped, Unknown, Left []string
		Err                         string
	}
	cases := map[string]struct {
		reason string
		key    *v1alpha1.SigningKey
		ids    []string // none: all
		want   want
	}{
		"there is room": {
			"nothing is dropped without need", with(0, numbered("gone", 62)...), []string{"active", "t-standby"},
			want{IDs: append(numbered("gone", 62), "active", "t-standby")},
		},
		"there is no room": {
			"ids that no key has go, the oldest first", with(0, numbered("gone", 64)...), []string{"active", "standby"},
			want{IDs: append(numbered("gone", 64)[2:], "active", "standby"), Dropped: []string{"gone00", "gone01"}},
		},
		"an id of a key that is there stays": {
			"it may be what keeps the key dead", with(1, append([]string{"t-retired00"}, numbered("gone", 63)...)...), []string{"active"},
			want{IDs: append(append([]string{"t-retired00"}, numbered("gone", 63)[1:]...), "active"), Dropped: []string{"gone00"}},
		},
		"what is named now stays though no key has it": {
			"or the command would undo itself", with(0, numbered("gone", 64)...), []string{"gone00", "new", "active"},
			want{IDs: append(append([]string{"gone00"}, numbered("gone", 64)[3:]...), "new", "active"), Dropped: []string{"gone01", "gone02"}, Unknown: []string{"gone00", "new"}},
		},
		"a key that is named already by another id": {
			"one id for each key is enough", with(0, "t-active"), []string{"active", "active"}, want{IDs: []string{"t-active"}},
		},
		"no id can be dropped": {
			"to choose is for a person", with(64, numbered("retired", 64)...), []string{"active"},
			want{Err: `spec.revokedKeyIDs of SigningKey "" would have 65 entries, and 64 are allowed; none can be dropped, because each names a key that status.keys still has, or is named now`},
		},
		"all, and there is room": {"", with(2, "gone"), nil, want{IDs: []string{"gone", "active", "standby", "retired01", "retired00"}}},
		"all, and there is no room": {
			"what signs comes first, and of the others the youngest", with(70, "gone"), nil,
			want{
				IDs: append([]string{"active", "standby"}, reversed(numbered("retired", 70)[8:])...), Dropped: []string{"gone"},
				Left: reversed(numbered("retired", 8)),
			},
		},
		"all, and not even for what signs": {
			"it must not look done", with(64, numbered("retired", 64)...), nil,
			want{Err: `spec.revokedKeyIDs of SigningKey "" would have 66 entries, and 64 are allowed; none can be dropped, because each names a key that status.keys still has, or is named now`},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			decide := func() (keyRevocation, error) { return revoke(tc.key, tc.ids) }
			if tc.ids == nil {
				decide = func() (keyRevocation, error) { return revokeAll(tc.key) }
			}
			r, err := decide()
			got := want{IDs: r.ids, Dropped: r.dropped, Unknown: r.unknown}
			for _, k := range r.left {
				got.Left = append(got.Left, k.KeyID)
			}
			slices.Sort(got.Left)
			slices.Sort(tc.want.Left)
			if err != nil {
				got.Err = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func reversed(ids []string) []string {
	out := slices.Clone(ids)
	slices.Reverse(out)
	return out
}
