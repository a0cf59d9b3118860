package cmd

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Public keys, and their ids in all formats: the first is that of design's test vectors.
const (
	jwkP256       = `{"use":"sig","kty":"EC","kid":"k","crv":"P-256","alg":"ES256","x":"m7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q","y":"dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc"}`
	thumbprint256 = "8qjioA3ZA7ti2JIE7c-U8smBFuZolQZvhSHDPU3hhB8"
	libTrust256   = "PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6"
)

// someKeys are a key in each state, in an order that is not that of their lives.
func someKeys() []v1alpha1.KeyStatus {
	return []v1alpha1.KeyStatus{
		{KeyID: "old", Thumbprint: "t-old", State: v1alpha1.KeyRevoked, CreatedTime: "2026-01-01T00:00:00Z", RemovalTime: "2026-03-01T01:17:00Z"},
		{
			KeyID: "retired", Thumbprint: "t-retired", State: v1alpha1.KeyRetired, CreatedTime: "2026-01-02T00:00:00Z",
			PublishedTime: "2026-01-02T00:00:01Z", ActivatedTime: "2026-01-30T00:00:00Z", SignUntil: "2026-03-31T00:00:00Z",
			RetiredTime: "2026-03-01T00:00:00Z", RemovalTime: "2026-03-01T01:17:00Z",
		},
		{KeyID: "standby", Thumbprint: "t-standby", State: v1alpha1.KeyPublished, CreatedTime: "2026-03-01T00:00:00Z", PublishedTime: "2026-03-01T00:00:01Z"},
		{KeyID: "next", Thumbprint: "t-next", State: v1alpha1.KeyPending, CreatedTime: "2026-03-01T00:00:02Z"},
		{
			KeyID: libTrust256, Thumbprint: thumbprint256, State: v1alpha1.KeyActive, JWK: jwkP256, CreatedTime: "2026-01-30T00:00:00Z",
			PublishedTime: "2026-01-30T00:00:01Z", ActivatedTime: "2026-03-01T00:00:00Z", SignUntil: "2026-04-30T00:00:00Z",
		},
	}
}

// TestKeysTableOfDistances shows the table that a person sees, at a fixed time.
func TestKeysTableOfDistances(t *testing.T) {
	var out bytes.Buffer
	s := &session{now: func() time.Time { return time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC) }}
	key := &v1alpha1.SigningKey{Status: v1alpha1.SigningKeyStatus{Keys: someKeys()}}
	key.Name = "registry"
	if err := s.listingOf(false).write(&out, outputTable, entriesOf(key, nil)); err != nil {
		t.Fatal(err)
	}
	want := `
SIGNINGKEY   KEY ID                                                        STATE       ALGORITHM   CREATED   PUBLISHED   ACTIVATED   SIGNS UNTIL   REMOVED AT
registry     PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6   Active      ES256       30d ago   30d ago     30m ago     in 59d        -
registry     standby                                                       Published   -           30m ago   29m ago     -           -             -
registry     next                                                          Pending     -           29m ago   -           -           -             -
registry     retired                                                       Retired     -           58d ago   58d ago     30d ago     -             in 47m
registry     old                                                           Revoked     -           59d ago   -           -           -             in 47m
`
	if diff := cmp.Diff(want, "\n"+out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func (b *keysBench) testList(t *testing.T) {
	b.static(t, "b", v1alpha1.SigningKeyStatus{Conditions: conditions(), ObservedGeneration: 1, Keys: someKeys()[2:]})
	b.static(t, "a", v1alpha1.SigningKeyStatus{ObservedGeneration: 1, Keys: someKeys()[2:3], Conditions: conditions(metav1.Condition{
		Type: v1alpha1.ConditionWarning, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSignUntilNear, Message: "Soon\nnobody signs",
	})})
	b.static(t, "stuck", v1alpha1.SigningKeyStatus{ObservedGeneration: 1, Conditions: conditions(
		metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNameTaken, Message: "It is taken"},
		metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNameTaken, Message: "It is taken"},
	)})
	b.static(t, "young", v1alpha1.SigningKeyStatus{ObservedGeneration: 1, Conditions: conditions(
		metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPending, Message: "No key signs yet"},
	)})
	b.static(t, "new", v1alpha1.SigningKeyStatus{ObservedGeneration: -1})

	cases := map[string]struct {
		reason string
		args   []string
		want   output
	}{
		"all, with what is wrong": {
			"who is on call sees keys and trouble in one look", []string{"-n", unmanaged, "-o", "wide"},
			output{0, `SIGNINGKEY   KEY ID                                                        STATE       ALGORITHM   CREATED                PUBLISHED              ACTIVATED              SIGNS UNTIL            REMOVED AT
a            standby                                                       Published   -           2026-03-01T00:00:00Z   2026-03-01T00:00:01Z   -                      -                      -
b            PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6   Active      ES256       2026-01-30T00:00:00Z   2026-01-30T00:00:01Z   2026-03-01T00:00:00Z   2026-04-30T00:00:00Z   -
b            standby                                                       Published   -           2026-03-01T00:00:00Z   2026-03-01T00:00:01Z   -                      -                      -
b            next                                                          Pending     -           2026-03-01T00:00:02Z   -                      -                      -                      -
`, `warning: SigningKey "a" has a Warning: SignUntilNear: Soon nobody signs
warning: SigningKey "new" was changed, and no manager has looked at it since: is one running?
warning: SigningKey "stuck" is not Ready and needs a person: NameTaken: It is taken
warning: SigningKey "young" is not Ready: Pending: No key signs yet
`},
		},
		"one, by name, in a state, for a script": {
			"what is activated next is one line", []string{"-n", unmanaged, "b", "-o", "name", "--state=published"}, output{0, "standby\n", ""},
		},
		"one without keys": {
			"an empty table is no table", []string{"-n", unmanaged, "young"},
			output{0, "", "warning: SigningKey \"young\" is not Ready: Pending: No key signs yet\n"},
		},
		"nothing there": {
			"a wrong namespace is the likely cause", []string{"-n", "empty", "-o", "json"},
			output{0, "[]\n", "warning: there are no SigningKeys in namespace \"empty\": name the namespace in which Tokenwright is installed with --namespace\n"},
		},
		"nothing there, for somebody who sees all namespaces": {
			"they are told where", []string{"-n", "empty", "--context", asEverywhere},
			output{0, "", "warning: there are no SigningKeys in namespace \"empty\": try --namespace=unmanaged\n"},
		},
		"as a viewer": {
			"to look needs no right to change", []string{"-n", unmanaged, "b", "-o", "name", "--state", "Active", "--context", asViewer}, output{0, libTrust256 + "\n", ""},
		},
		"another format": {
			"a typing error is said", []string{"-o", "xml"}, output{1, "", "error: --output must be table, wide, name, json or yaml, not \"xml\"\n"},
		},
		"another state": {
			"a typing error must not list nothing", []string{"--state", "Alive"},
			output{1, "", "error: --state must be Pending, Published, Active, Retired or Revoked, not \"Alive\"\n"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, b.keys(t, append([]string{"list"}, tc.args...)...)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	t.Run("for programs", b.testListForPrograms)
}

// testListForPrograms shows that JSON and YAML have all that the status says of a key and whose it is, and nothing private.
func (b *keysBench) testListForPrograms(t *testing.T) {
	key := b.ready(t, "listed")
	var want []keyEntry
	for _, e := range entriesOf(key, nil) {
		want = append(want, keyEntry{"listed", e.KeyStatus})
	}
	for format, decode := range map[string]func(string, any) error{
		"json": func(text string, into any) error { return json.Unmarshal([]byte(text), into) },
		"yaml": func(text string, into any) error { return yaml.UnmarshalStrict([]byte(text), into) },
	} {
		got := b.keys(t, "list", "listed", "-o", format)
		var entries []keyEntry
		if err := decode(got.Stdout, &entries); err != nil {
			t.Fatalf("%s: %v in %s", format, err, got.Stdout)
		}
		if diff := cmp.Diff(want, entries); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
		for _, e := range entries {
			var k jose.JSONWebKey
			if err := k.UnmarshalJSON([]byte(e.JWK)); err != nil || !k.IsPublic() {
				t.Errorf("%s: %s is not a public key: %v", format, e.JWK, err)
			}
		}
		if !strings.Contains(got.Stdout, "signingKey") || got.Stderr != "" {
			t.Errorf("%s: %+v", format, got)
		}
	}
}
