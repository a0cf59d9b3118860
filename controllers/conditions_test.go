package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

func TestNextConditions(t *testing.T) {
	before := metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	now := metav1.NewTime(before.Add(time.Hour))
	previous := []metav1.Condition{
		{Type: "Ready", Status: metav1.ConditionTrue, Reason: "InForce", ObservedGeneration: 1, LastTransitionTime: before},
		{Type: "Stalled", Status: metav1.ConditionTrue, Reason: "Broken", ObservedGeneration: 1, LastTransitionTime: before},
	}
	cases := map[string]struct {
		reason string
		wanted []condition
		want   []metav1.Condition
	}{
		"a condition with the same status keeps its time": {
			reason: "lastTransitionTime is when the status changed, whatever else did",
			wanted: []condition{isTrue("Ready", "Serving", "all is well")},
			want: []metav1.Condition{{
				Type: "Ready", Status: "True", Reason: "Serving", Message: "all is well", ObservedGeneration: 2, LastTransitionTime: before,
			}},
		},
		"a condition with another status gets the time of now": {
			reason: "that is a transition",
			wanted: []condition{isFalse("Ready", "InForce", "")},
			want:   []metav1.Condition{{Type: "Ready", Status: "False", Reason: "InForce", ObservedGeneration: 2, LastTransitionTime: now}},
		},
		"a condition that nobody wants any more is gone": {
			reason: "Stalled is there only while it is true",
			wanted: nil,
			want:   []metav1.Condition{},
		},
		"conditions are sorted": {
			reason: "equal states must look equal",
			wanted: []condition{stalled("b", ""), isTrue("Accepted", "a", "")},
			want: []metav1.Condition{
				{Type: "Accepted", Status: "True", Reason: "a", ObservedGeneration: 2, LastTransitionTime: now},
				{Type: "Stalled", Status: "True", Reason: "b", ObservedGeneration: 2, LastTransitionTime: before},
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := nextConditions(now, 2, previous, c.wanted...)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestBounded(t *testing.T) {
	cases := map[string]struct {
		reason, message string
		length          int
	}{
		"a short message stays":               {"there is nothing to cut", "short", 5},
		"a message at the bound stays":        {"the bound is inclusive", strings.Repeat("x", maxMessage), maxMessage},
		"a long message is cut":               {"a status is no archive", strings.Repeat("x", 9*maxMessage), maxMessage},
		"a cut keeps characters whole":        {"the API server refuses half a character", strings.Repeat("😀", maxMessage), 1023},
		"bytes that are no text are replaced": {"the API server refuses it", "a\xffb", 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := bounded(c.message)
			if len(got) != c.length || !utf8.ValidString(got) {
				t.Errorf("%s: got %d bytes, valid %t, want %d", c.reason, len(got), utf8.ValidString(got), c.length)
			}
		})
	}
}

func TestListed(t *testing.T) {
	cases := map[string]struct {
		problems []string
		want     string
	}{
		"one problem":    {[]string{"a"}, "a"},
		"three problems": {[]string{"a", "b", "c"}, "a; b; c"},
		"five problems":  {[]string{"a", "b", "c", "d", "e"}, "a; b; c; and 2 more"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, listed(c.problems)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestStatusWriterIsLimited shows that a status is not written before its turn.
func TestStatusWriterIsLimited(t *testing.T) {
	w := Options{statusLimit: rate.NewLimiter(rate.Every(time.Hour), 1)}.statusWriter(plane.Client, "accesspolicy")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	unchanged := v1alpha1.PolicyStatus{ObservedGeneration: 1}
	if _, err := w.apply(ctx, unchanged, unchanged, nil); err != nil {
		t.Errorf("a status that did not change needs no turn, got %v", err)
	}
	changed := v1alpha1.PolicyStatus{ObservedGeneration: 2}
	if _, err := w.apply(ctx, unchanged, changed, v1alpha1ac.AccessPolicy("a", "default")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context while waiting for a turn", err)
	}
}
