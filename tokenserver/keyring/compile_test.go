package keyring_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

func TestCompileReadsTheSpec(t *testing.T) {
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
			v1alpha1.AnnotationRotate: "today", v1alpha1.AnnotationActivate: "kid",
		}},
		Spec: v1alpha1.SigningKeySpec{
			Algorithm: v1alpha1.PS256, RSAKeySize: 4096, TokenLifetime: "1h30m", KeyIdentification: v1alpha1.KeyID,
			KeyIDFormat: v1alpha1.LibTrust, RevokedKeyIDs: []string{"dead"},
			Rotation: v1alpha1.Rotation{Mode: v1alpha1.RotationManual, Interval: "48h", PublishAhead: "3h"},
		},
	}
	want := keyring.Params{
		Limits: limits, Algorithm: v1alpha1.PS256, RSAKeySize: 4096, Format: v1alpha1.LibTrust, Identification: v1alpha1.KeyID,
		Mode: v1alpha1.RotationManual, Interval: 48 * time.Hour, PublishAhead: 3 * time.Hour, TokenLifetime: 90 * time.Minute,
		Revoked: []string{"dead"}, Rotate: "today", Activate: "kid",
	}
	got, problems := keyring.Compile(key, limits)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
}

func TestCompileFillsWhatTheSchemaFills(t *testing.T) {
	want := keyring.Params{
		Limits: limits, Algorithm: v1alpha1.ES256, RSAKeySize: 3072, Format: v1alpha1.Thumbprint, Identification: v1alpha1.X509Chain,
		Mode: v1alpha1.RotationAutomatic, Interval: 720 * time.Hour, PublishAhead: 2 * time.Hour, TokenLifetime: 15 * time.Minute,
	}
	got, _ := keyring.Compile(&v1alpha1.SigningKey{}, limits)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCompileHoldsRotationBack(t *testing.T) {
	cases := map[string]struct {
		reason string
		spec   v1alpha1.SigningKeySpec
		want   string
	}{
		"a standby that verifiers cannot know in time": {
			spec: v1alpha1.SigningKeySpec{KeyIdentification: v1alpha1.KeyID, Rotation: v1alpha1.Rotation{PublishAhead: "1h5m59s"}},
			want: v1alpha1.ReasonPublishAheadTooShort,
		},
		"a standby that verifiers know just in time": {
			spec: v1alpha1.SigningKeySpec{KeyIdentification: v1alpha1.KeyID, Rotation: v1alpha1.Rotation{PublishAhead: "1h6m"}},
		},
		"no time ahead with a chain": {
			reason: "verifiers of chains do not fetch",
			spec:   v1alpha1.SigningKeySpec{Rotation: v1alpha1.Rotation{PublishAhead: "0s"}},
		},
		"a standby that is ready after the interval": {
			spec: v1alpha1.SigningKeySpec{Rotation: v1alpha1.Rotation{Interval: "2h", PublishAhead: "1h59m1s"}},
			want: v1alpha1.ReasonInvalidSpec,
		},
		"a standby that is ready at the interval": {
			spec: v1alpha1.SigningKeySpec{Rotation: v1alpha1.Rotation{Interval: "2h", PublishAhead: "1h59m"}},
		},
		"a token that outlives the interval": {
			spec: v1alpha1.SigningKeySpec{TokenLifetime: "3h", Rotation: v1alpha1.Rotation{Interval: "2h", PublishAhead: "1h"}},
			want: v1alpha1.ReasonInvalidSpec,
		},
		"a token that outlives an interval that does not matter": {
			spec: v1alpha1.SigningKeySpec{TokenLifetime: "3h", Rotation: v1alpha1.Rotation{Mode: v1alpha1.RotationNever, Interval: "2h", PublishAhead: "1h"}},
		},
		"an interval that keeps too many keys": {
			reason: "a day of tokens, a key a minute",
			spec: v1alpha1.SigningKeySpec{TokenLifetime: "24h", Rotation: v1alpha1.Rotation{
				Mode: v1alpha1.RotationNever, Interval: "1m", PublishAhead: "0s",
			}},
			want: v1alpha1.ReasonInvalidSpec,
		},
		"the shortest interval": {
			spec: v1alpha1.SigningKeySpec{TokenLifetime: "1m", Rotation: v1alpha1.Rotation{Interval: "1m", PublishAhead: "0s"}},
		},
		"a lifetime out of bounds":    {spec: v1alpha1.SigningKeySpec{TokenLifetime: "25h"}, want: v1alpha1.ReasonInvalidSpec},
		"a duration in days":          {spec: v1alpha1.SigningKeySpec{Rotation: v1alpha1.Rotation{Interval: "90d"}}, want: v1alpha1.ReasonInvalidSpec},
		"a duration that is too long": {spec: v1alpha1.SigningKeySpec{Rotation: v1alpha1.Rotation{Interval: "99999999h"}}, want: v1alpha1.ReasonInvalidSpec},
		"an interval of nothing":      {spec: v1alpha1.SigningKeySpec{Rotation: v1alpha1.Rotation{Mode: v1alpha1.RotationNever, Interval: "0s"}}, want: v1alpha1.ReasonInvalidSpec},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, problems := keyring.Compile(&v1alpha1.SigningKey{Spec: c.spec}, limits)
			got := ""
			if len(problems) > 0 {
				got = problems[0].Reason
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if p.Hold != (c.want != "") {
				t.Errorf("hold is %t", p.Hold)
			}
			settle(t, keyring.Ring{}, now, p, nil) // whatever the spec says, planning with it ends
			if p.Bound(keyring.Ring{}) < 3 {
				t.Error("the set has no bound")
			}
		})
	}
}

func TestIntervalsOfSecondsAreForTestsOnly(t *testing.T) {
	key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.AnnotationTestInterval: "5s"}}}
	key.Spec.TokenLifetime, key.Spec.Rotation = "1m", v1alpha1.Rotation{Interval: "1h", PublishAhead: "0s"}
	p, problems := keyring.Compile(key, limits)
	if len(problems) > 0 || p.Interval != time.Hour {
		t.Errorf("an annotation shortens the interval to %s: %v", p.Interval, problems)
	}
	short := keyring.Limits{ClockSkew: time.Second, TestBounds: true}
	if p, problems = keyring.Compile(key, short); len(problems) > 0 || p.Interval != 5*time.Second {
		t.Errorf("with --test-bounds the interval is %s: %v", p.Interval, problems)
	}
}

func TestBoundThatCannotBeWrittenIsRefused(t *testing.T) {
	spec := v1alpha1.SigningKeySpec{TokenLifetime: "1m", Rotation: v1alpha1.Rotation{Interval: "1m", PublishAhead: "0s"}}
	stale := limits
	stale.MaxStaleness = 5 * time.Hour
	p, problems := keyring.Compile(&v1alpha1.SigningKey{Spec: spec}, stale)
	if len(problems) != 1 || problems[0].Reason != v1alpha1.ReasonInvalidSpec || !p.Hold {
		t.Fatalf("a set of %d keys is allowed: %v", p.Bound(keyring.Ring{}), problems)
	}
	for _, field := range []string{"spec.rotation.interval", "spec.tokenLifetime"} {
		if !strings.Contains(problems[0].Message, field) {
			t.Errorf("%q does not name %s", problems[0].Message, field)
		}
	}
}

func TestRequestsAreCutToWhatStatusCanEcho(t *testing.T) {
	for name, value := range map[string]string{
		"in the middle of a character": "x" + strings.Repeat("é", 200), "no text": strings.Repeat("\xff", 300), "short": "today",
	} {
		key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.AnnotationRotate: value}}}
		p, _ := keyring.Compile(key, limits)
		if len(p.Rotate) > 256 || !utf8.ValidString(p.Rotate) || p.Rotate == "" {
			t.Errorf("%s: the request is %q", name, p.Rotate)
		}
	}
}
