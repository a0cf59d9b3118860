package identity

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func status(code int) error {
	return fmt.Errorf("review a token: %w", apierrors.NewGenericServerResponse(code, "post", schema.GroupResource{}, "", "", 1, true))
}

// TestWhatCountsAsSilence holds that only an API server that is away lets OnlinePreferred go by the keys alone.
func TestWhatCountsAsSilence(t *testing.T) {
	cases := map[string]struct {
		reason string
		err    error
		want   string
	}{
		"connection refused":      {"Nobody is there.", fmt.Errorf("review: %w", errAway), "in"},
		"a connection that broke": {"The answer was on its way.", fmt.Errorf("review: %w", io.ErrUnexpectedEOF), "in"},
		"nothing in time":         {"Nobody is there.", fmt.Errorf("review: %w", context.DeadlineExceeded), "in"},
		"500":                     {"It is there and cannot work.", status(500), "in"},
		"502":                     {"A load balancer with nothing behind it.", status(502), "in"},
		"503":                     {"It is going away.", status(503), "in"},
		"504":                     {"What is behind it is away.", status(504), "in"},
		"429":                     {"Who can keep it busy must not open the door to deleted accounts.", status(429), "unavailable"},
		"403":                     {"A missing right must not turn verification off for good.", status(403), "unavailable"},
		"401":                     {"The same.", status(401), "unavailable"},
		"400":                     {"The same.", status(400), "unavailable"},
		"something unheard of":    {"What is not known to be silence is not taken for it.", fmt.Errorf("no idea"), "unavailable"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := newFakeCluster(t)
			cluster.review = func(context.Context, string) (authenticationv1.TokenReviewStatus, error) {
				return authenticationv1.TokenReviewStatus{}, tc.err
			}
			a := New(Options{Cluster: cluster})
			_, err := a.Authenticate(context.Background(), verifiedBy(v1alpha1.VerifyOnlinePreferred), withToken(cluster.token(t, nil)), noon)
			if diff := cmp.Diff(tc.want, outcome(err)); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.want == "in", a.accounts.pulse.silent(noon)); diff != "" {
				t.Errorf("%s\nsilent -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestOneLateAnswerOfManyIsNoSilence is the attacker whose token takes the API server long while it answers others.
func TestOneLateAnswerOfManyIsNoSilence(t *testing.T) {
	cluster := newFakeCluster(t)
	late, others := cluster.token(t, nil), cluster.token(t, nil)
	asked := make(chan struct{})
	cluster.review = func(ctx context.Context, token string) (authenticationv1.TokenReviewStatus, error) {
		if token == late {
			close(asked)
			<-ctx.Done()
		}
		return authenticationv1.TokenReviewStatus{}, ctx.Err()
	}
	a := New(Options{Cluster: cluster})
	got := make(chan string)
	try := func(token string) string {
		_, err := a.Authenticate(context.Background(), verifiedBy(v1alpha1.VerifyOnlinePreferred), withToken(token), noon)
		return outcome(err)
	}
	go func() { got <- try(late) }()
	<-asked
	if diff := cmp.Diff("bad", try(others)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff("unavailable", <-got); diff != "" {
		t.Errorf("the late one -want +got:\n%s", diff)
	}
	if a.accounts.pulse.silent(noon.Add(preferredBudget)) {
		t.Error("the API server counts as silent, though it answered")
	}
}

func TestAnAnswerEndsTheSilence(t *testing.T) {
	var p pulse
	if silent, news := p.missed(p.count(), noon); !silent || !news || !p.silent(noon) {
		t.Fatal("an API server that did not answer is not silent")
	}
	if silent, news := p.missed(p.count(), noon); !silent || news {
		t.Error("the second miss is news")
	}
	p.answered()
	if p.silent(noon) {
		t.Error("an API server that answered is silent")
	}
}

// TestAFullQueueIsNoSilence holds for each way in which the queue can be full.
func TestAFullQueueIsNoSilence(t *testing.T) {
	for name, fill := range map[string]func(*accounts){
		"all places taken until the client gives up": func(a *accounts) { a.reviews <- struct{}{} },
		"too many wait": func(a *accounts) { a.waiting.Store(maxReviewsWaiting) },
	} {
		for _, way := range []v1alpha1.Verification{v1alpha1.VerifyOnline, v1alpha1.VerifyOnlinePreferred} {
			t.Run(name+", "+string(way), func(t *testing.T) {
				cluster := newFakeCluster(t)
				a := New(Options{Cluster: cluster, Reviews: 1})
				fill(a.accounts)
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_, err := a.Authenticate(ctx, verifiedBy(way), withToken(cluster.token(t, nil)), noon)
				if diff := cmp.Diff("unavailable", outcome(err)); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if cluster.asked() > 0 || a.accounts.pulse.silent(noon) {
					t.Errorf("%d reviews, silent: %v", cluster.asked(), a.accounts.pulse.silent(noon))
				}
			})
		}
	}
}

// TestTheWaitForATurnIsNotTakenOffTheBudget is the attacker who fills the queue so that the answer comes too late.
func TestTheWaitForATurnIsNotTakenOffTheBudget(t *testing.T) {
	cluster := newFakeCluster(t)
	left := make(chan time.Duration, 1)
	cluster.review = func(ctx context.Context, _ string) (authenticationv1.TokenReviewStatus, error) {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		return authenticationv1.TokenReviewStatus{}, nil
	}
	a := New(Options{Cluster: cluster, Reviews: 1})
	a.accounts.reviews <- struct{}{}
	const wait = preferredBudget + 100*time.Millisecond
	time.AfterFunc(wait, func() { <-a.accounts.reviews })
	_, err := a.Authenticate(context.Background(), verifiedBy(v1alpha1.VerifyOnlinePreferred), withToken(cluster.token(t, nil)), noon)
	if diff := cmp.Diff("bad", outcome(err)); diff != "" {
		t.Errorf("the deleted account that waited -want +got:\n%s", diff)
	}
	select {
	case got := <-left:
		if got < preferredBudget/2 {
			t.Errorf("the API server had %s left of %s", got, preferredBudget)
		}
	default:
		t.Error("the API server was not asked")
	}
}

func TestWhoWaitsForATurnHearsOfTheSilence(t *testing.T) {
	cluster := newFakeCluster(t)
	a := New(Options{Cluster: cluster, Reviews: 1})
	a.accounts.reviews <- struct{}{}
	got := make(chan string)
	go func() {
		_, err := a.Authenticate(context.Background(), verifiedBy(v1alpha1.VerifyOnlinePreferred), withToken(cluster.token(t, nil)), noon)
		got <- outcome(err)
	}()
	for deadline := time.Now().Add(10 * time.Second); a.accounts.waiting.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
	}
	a.accounts.pulse.missed(0, noon.Add(time.Minute))
	<-a.accounts.reviews
	if diff := cmp.Diff("in", <-got); diff != "" || cluster.asked() > 0 {
		t.Errorf("-want +got:\n%s\n%d reviews", diff, cluster.asked())
	}
}

// TestABusyAPIServerIsHeard holds that 429 arrives as such, though it asks to try again later, and that the API server
// knows how long it has: it answers 429 after a quarter of that, which must lie within the budget.
func TestABusyAPIServerIsHeard(t *testing.T) {
	timeouts := make(chan string, 20)
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timeouts <- r.URL.Query().Get("timeout")
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Too many requests, please try again later.", http.StatusTooManyRequests)
	}))
	defer busy.Close()
	cluster, err := NewCluster(&rest.Config{Host: busy.URL})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), preferredBudget)
	defer cancel()
	_, err = cluster.Review(ctx, "token", []string{ourAudience})
	if !apierrors.IsTooManyRequests(err) || isSilence(err) {
		t.Errorf("got %v, want 429", err)
	}
	if diff := cmp.Diff(1, len(timeouts)); diff != "" {
		t.Errorf("requests -want +got:\n%s", diff)
	}
	if told, err := time.ParseDuration(<-timeouts); err != nil || told > preferredBudget {
		t.Errorf("the API server was told %s, %v", told, err)
	}
}

// TestAnAPIServerThatIsAwayIsSilent holds against the client's own errors.
func TestAnAPIServerThatIsAwayIsSilent(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)
	breaks := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer breaks.Close()
	for name, host := range map[string]string{"refuses": gone.URL, "hangs": hangs.URL, "breaks": breaks.URL} {
		t.Run(name, func(t *testing.T) {
			cluster, err := NewCluster(&rest.Config{Host: host})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err = cluster.Review(ctx, "token", nil); err == nil || !isSilence(err) {
				t.Errorf("%T %v is no silence", err, err)
			}
		})
	}
}
