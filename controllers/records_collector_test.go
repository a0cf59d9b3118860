package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// collectorBench is a collector with the rights of the manager, in namespaces of its own.
type collectorBench struct {
	*recordsCollector
	clock *clocktesting.FakePassiveClock
}

func newCollectorBench(t *testing.T, name string) collectorBench {
	t.Helper()
	o := testOptions(t, fmt.Sprintf("%s-%d", name, time.Now().UnixNano()))
	clock := clocktesting.NewFakePassiveClock(time.Now())
	c := managerClient(t, o)
	return collectorBench{&recordsCollector{sweeper: sweeperOf(t, c), reader: c, clock: clock, Options: o}, clock}
}

// sweeperOf is a sweeper without a limit.
func sweeperOf(t *testing.T, c client.Client) sweeper {
	t.Helper()
	return sweeper{client: c, limit: rate.NewLimiter(rate.Inf, 1), counts: recordCounts(t)}
}

// recordCounts are counters of a test's own.
func recordCounts(t *testing.T) recordMetrics {
	t.Helper()
	counts, err := newRecordMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// store creates a record of the place that expires after so long.
func (b collectorBench) store(t *testing.T, place int, kind v1alpha1.IssuedTokenType, life time.Duration) *v1alpha1.IssuedToken {
	t.Helper()
	token := issued(place, kind, time.Now().Add(life))
	token.Namespace = b.Namespace
	token.Spec.Provider = v1alpha1.RecordedProvider{Name: "users", UID: "1"}
	token.Spec.AuthTime = v1alpha1.NewDateTime(noon)
	if kind == v1alpha1.RefreshToken {
		token.Spec.SecretHash = strings.Repeat("s", 43)
	} else {
		token.Spec.KeyThumbprint = strings.Repeat("k", 43)
	}
	token.CreationTimestamp.Reset()
	create(t, &token)
	return &token
}

func (b collectorBench) revoke(t *testing.T, revocation v1alpha1.TokenRevocation) {
	t.Helper()
	revocation.Namespace = b.Namespace
	revocation.CreationTimestamp.Reset()
	create(t, &revocation)
}

// there are the names of what is stored.
func (b collectorBench) there(t *testing.T) (names []string) {
	t.Helper()
	var tokens v1alpha1.IssuedTokenList
	var revocations v1alpha1.TokenRevocationList
	for _, list := range []client.ObjectList{&tokens, &revocations} {
		if err := plane.Client.List(t.Context(), list, client.InNamespace(b.Namespace)); err != nil {
			t.Fatal(err)
		}
	}
	for _, token := range tokens.Items {
		names = append(names, token.Name)
	}
	for _, r := range revocations.Items {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return names
}

func TestRecordsAreCollectedWhenTheyHaveEnded(t *testing.T) {
	b := newCollectorBench(t, "records")
	start := time.Now()
	b.store(t, 1, v1alpha1.RefreshToken, time.Hour)
	b.store(t, 2, v1alpha1.RefreshToken, 100*time.Hour)
	b.store(t, 3, v1alpha1.AccessToken, 100*time.Hour)
	b.revoke(t, revokedToken(2, v1alpha1.NewDateTime(start.Add(100*time.Hour))))
	b.revoke(t, revokedToken(3, v1alpha1.NewDateTime(start.Add(time.Hour)))) // too soon
	const second, third = "token-0-2-abcdefghijklmnopqrstuvwxyz", "token-0-3-abcdefghijklmnopqrstuvwxyz"
	steps := []struct {
		reason string
		after  time.Duration
		want   []string
	}{
		{"the revoked refresh token goes at once", 0, []string{"token-0-1", second, "token-0-3", third}},
		{"its revocation stays for a while", recordGrace, []string{"token-0-1", second, "token-0-3", third}},
		{"what has expired stays for a while; what no record needs is gone", time.Hour + recordGrace, []string{"token-0-1", "token-0-3", third}},
		{"and goes then; the revocation stays as long as its record", time.Hour + recordGrace + b.ClockSkew + 2*time.Second, []string{"token-0-3", third}},
		{"when the tokens end, so do they", 100*time.Hour + recordGrace + b.ClockSkew + 2*time.Second, []string{third}},
		{"and what spoke of them", 101 * time.Hour, nil},
	}
	for _, step := range steps {
		b.clock.SetTime(start.Add(step.after))
		if _, _, err := b.collect(t.Context()); err != nil {
			t.Fatalf("%s: %v", step.reason, err)
		}
		if diff := cmp.Diff(step.want, b.there(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.reason, diff)
		}
	}
}

// TestWhatChangedMeanwhileIsNotDeleted: the record that was looked at is gone, and another has its name, or its token has
// just been used.
func TestWhatChangedMeanwhileIsNotDeleted(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, b collectorBench, token *v1alpha1.IssuedToken){
		"another has its place": func(t *testing.T, b collectorBench, token *v1alpha1.IssuedToken) {
			if err := plane.Client.Delete(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			b.store(t, 1, v1alpha1.RefreshToken, 100*time.Hour)
		},
		"its status was written": func(t *testing.T, _ collectorBench, token *v1alpha1.IssuedToken) {
			token.Status.LastUsed = v1alpha1.NewDateTime(time.Now())
			if err := plane.Client.Status().Update(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newCollectorBench(t, "records-race")
			token := b.store(t, 1, v1alpha1.RefreshToken, time.Hour)
			b.clock.SetTime(time.Now().Add(48 * time.Hour))
			changed := false
			inner, ok := b.client.(client.WithWatch)
			if !ok {
				t.Fatal("the client of the test cannot be broken")
			}
			b.client = interceptor.NewClient(inner, interceptor.Funcs{
				Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
					if !changed {
						changed = true
						change(t, b, token)
					}
					return c.Delete(ctx, o, opts...)
				},
			})
			if n, _, err := b.collect(t.Context()); n != 0 || err != nil {
				t.Errorf("%d collected, %v", n, err)
			}
			if diff := cmp.Diff([]string{"token-0-1"}, b.there(t)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// manyRecords is a reader that has more expired records than a page.
type manyRecords struct {
	client.Reader
	n int
}

func (m manyRecords) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if tokens, ok := list.(*v1alpha1.IssuedTokenList); ok {
		for i := range m.n {
			tokens.Items = append(tokens.Items, issued(i, v1alpha1.RefreshToken, noon))
		}
	}
	return nil
}

func TestRecordsAreCollectedInPages(t *testing.T) {
	deleted := 0
	var fault error
	c := interceptor.NewClient(nil, interceptor.Funcs{
		Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error {
			deleted++
			return fault
		},
	})
	r := &recordsCollector{
		sweeper: sweeperOf(t, c), reader: manyRecords{n: collectPage + 1}, clock: clocktesting.NewFakePassiveClock(noon.AddDate(0, 1, 0)),
	}
	if n, more, err := r.collect(t.Context()); n != collectPage || deleted != collectPage || !more || err != nil {
		t.Errorf("%d of %d deletions, more: %t, %v", n, deleted, more, err)
	}
	r.reader = manyRecords{n: 5}
	if n, more, err := r.collect(t.Context()); n != 5 || more || err != nil {
		t.Errorf("%d deleted, more: %t, %v", n, more, err)
	}
	deleted, fault = 0, errors.New("the API server is away")
	r.reader = manyRecords{n: collectPage}
	if n, _, err := r.collect(t.Context()); n != 0 || deleted != collectFailures || !errors.Is(err, fault) {
		t.Errorf("away: %d of %d deletions, %v", n, deleted, err)
	}
	slow, cancel := context.WithCancel(t.Context())
	cancel()
	r.limit = rate.NewLimiter(1, 0)
	if _, _, err := r.collect(slow); err == nil {
		t.Error("it goes on when the manager has ended")
	}
}

// TestTheManagerCollectsRecords runs all of the manager under its own rights.
func TestTheManagerCollectsRecords(t *testing.T) {
	b := newCollectorBench(t, "records-manager")
	b.store(t, 1, v1alpha1.RefreshToken, -time.Hour)
	b.store(t, 2, v1alpha1.RefreshToken, 100*time.Hour)
	b.store(t, 3, v1alpha1.RefreshToken, 100*time.Hour)
	b.revoke(t, revokedToken(2, ""))
	startManager(t, managerConfig(t, b.Options), b.Options)
	eventually(t, func() error {
		if diff := cmp.Diff([]string{"token-0-2-abcdefghijklmnopqrstuvwxyz", "token-0-3"}, b.there(t)); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
}

func TestRecordsAreHeldWithoutWhatNobodyLooksAt(t *testing.T) {
	token := issued(1, v1alpha1.RefreshToken, noon)
	token.Spec.SecretHash, token.Spec.Credential, token.Spec.Subject.Groups = "s", "c", []string{"g"}
	token.Annotations = map[string]string{"a": "b"}
	want := deadRecords([]v1alpha1.IssuedToken{token}, nil, noon.Add(time.Second))
	held, err := trimRecord(token.DeepCopy())
	trimmed, ok := held.(*v1alpha1.IssuedToken)
	if err != nil || !ok || trimmed.Spec.SecretHash+trimmed.Spec.Credential != "" || trimmed.Spec.Subject.Groups != nil || trimmed.Annotations != nil {
		t.Errorf("held: %+v, %v", held, err)
	}
	if got := deadRecords([]v1alpha1.IssuedToken{*trimmed}, nil, noon.Add(time.Second)); len(want) != 1 || len(got) != 1 {
		t.Errorf("%d are dead, %d were", len(got), len(want))
	}
}
