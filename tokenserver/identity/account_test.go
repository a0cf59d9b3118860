package identity

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

func withToken(token string) Credentials {
	return Credentials{Username: "whatever", Password: token, Present: true}
}

// reviewer answers TokenReviews.
type reviewer = func(context.Context, string) (authenticationv1.TokenReviewStatus, error)

func says(status authenticationv1.TokenReviewStatus) reviewer {
	return func(context.Context, string) (authenticationv1.TokenReviewStatus, error) { return status, nil }
}

func isAway(context.Context, string) (authenticationv1.TokenReviewStatus, error) {
	return authenticationv1.TokenReviewStatus{}, errAway
}

func TestVerification(t *testing.T) {
	no := says(authenticationv1.TokenReviewStatus{Error: "invalid bearer token"})
	const online, preferred, offline = v1alpha1.VerifyOnline, v1alpha1.VerifyOnlinePreferred, v1alpha1.VerifyOffline
	type args struct {
		way    v1alpha1.Verification
		review reviewer
		noKeys bool
	}
	type want struct {
		outcome string
		reviews int
	}
	cases := map[string]struct {
		reason string
		args   args
		want   want
	}{
		"Online, yes":          {"Both agree.", args{online, says(yes(builder, ourAudience)), false}, want{"in", 1}},
		"Online, no":           {"The account was deleted.", args{online, no, false}, want{"bad", 1}},
		"Online, away":         {"Online means or refused.", args{online, isAway, false}, want{"unavailable", 1}},
		"Online, no keys":      {"The API server itself can tell.", args{online, says(yes(builder, ourAudience)), true}, want{"in", 1}},
		"Online, no keys, no":  {"The API server itself can tell.", args{online, no, true}, want{"bad", 1}},
		"Online, nothing":      {"Nothing can tell.", args{online, isAway, true}, want{"unavailable", 1}},
		"OnlinePreferred, yes": {"Both agree.", args{preferred, says(yes(builder, ourAudience)), false}, want{"in", 1}},
		"OnlinePreferred, no":  {"An answer counts.", args{preferred, no, false}, want{"bad", 1}},
		"OnlinePreferred, away": {
			"The keys can tell.", args{preferred, isAway, false}, want{"in", 1}},
		"OnlinePreferred, no keys": {
			"The API server itself can tell.", args{preferred, says(yes(builder, ourAudience)), true}, want{"in", 1}},
		"OnlinePreferred, nothing": {
			"Nothing can tell.", args{preferred, isAway, true}, want{"unavailable", 1}},
		"Offline":          {"The API server is not asked.", args{offline, no, false}, want{"in", 0}},
		"Offline, no keys": {"Nothing can tell, and the API server is not asked.", args{offline, says(yes(builder, ourAudience)), true}, want{"unavailable", 0}},
		"a yes for other audiences": {
			"An API server that knows no audiences would accept any token.", args{online, says(yes(builder, "other")), false}, want{"bad", 1}},
		"a yes without audiences": {
			"The same.", args{online, says(yes(builder)), false}, want{"bad", 1}},
		"a yes for somebody who is no ServiceAccount": {
			"A provider of ServiceAccounts vouches for nobody else.", args{online, says(yes("system:admin", ourAudience)), true}, want{"bad", 1}},
		"a yes for a user of the API server's own issuer": {
			"The same.", args{online, says(yes("alice", ourAudience)), true}, want{"bad", 1}},
		"a yes for another ServiceAccount": {
			"The two must speak of one.", args{online, says(yes("system:serviceaccount:ci:other", ourAudience)), false}, want{"bad", 1}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := newFakeCluster(t)
			cluster.review = tc.args.review
			if tc.args.noKeys {
				cluster.keysErr = errAway
			}
			a := New(Options{Cluster: cluster})
			got, err := a.Authenticate(context.Background(), verifiedBy(tc.args.way), withToken(cluster.token(t, nil)), noon)
			if diff := cmp.Diff(tc.want, want{outcome(err), cluster.reviews}, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("%s\n-want +got:\n%s\n%v", tc.reason, diff, err)
			}
			if diff := cmp.Diff(err == nil, got.Username == builder); diff != "" {
				t.Errorf("%s\ncaller is %+v", tc.reason, got)
			}
		})
	}
}

func TestCallerOfferedByKeysAlone(t *testing.T) {
	cluster := newFakeCluster(t)
	a := New(Options{Cluster: cluster})
	got, err := a.Authenticate(context.Background(), verifiedBy(v1alpha1.VerifyOffline), withToken(cluster.token(t, nil)), noon)
	if err != nil {
		t.Fatal(err)
	}
	want := caller.Caller{
		Username: builder, UID: "uid-1", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated"},
		Extra: map[string][]string{
			"authentication.kubernetes.io/credential-id": {"JTI=j1"},
			"authentication.kubernetes.io/pod-name":      {"p"}, "authentication.kubernetes.io/pod-uid": {"pu"},
			"authentication.kubernetes.io/node-name": {"n"}, "authentication.kubernetes.io/node-uid": {"nu"},
		},
		Provider: "accounts-tokenwright", Method: caller.MethodServiceAccount, AuthTime: noon,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTheReviewIsAskedForTheProvidersAudiences(t *testing.T) {
	cluster := newFakeCluster(t)
	a := New(Options{Cluster: cluster})
	if _, err := a.Authenticate(context.Background(), verifiedBy(v1alpha1.VerifyOnline), withToken(cluster.token(t, nil)), noon); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{ourAudience}, cluster.reviewed); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAnswersAreRememberedForAShortTime(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		review reviewer
		second reviewer
		later  time.Duration
		want   string
		asked  int
	}{
		"a yes, at once":     {"A pull asks ten times.", says(yes(builder, ourAudience)), isAway, 0, "in", 1},
		"a yes, 10 s later":  {"A deleted account is refused soon.", says(yes(builder, ourAudience)), says(authenticationv1.TokenReviewStatus{}), reviewedFor, "bad", 2},
		"a no, at once":      {"Junk is not passed on twice.", says(authenticationv1.TokenReviewStatus{}), says(yes(builder, ourAudience)), 0, "bad", 1},
		"a no, 10 s later":   {"It may have been too early.", says(authenticationv1.TokenReviewStatus{}), says(yes(builder, ourAudience)), reviewedFor, "in", 2},
		"no answer, at once": {"Silence is not an answer.", isAway, says(yes(builder, ourAudience)), 0, "in", 2},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := newFakeCluster(t)
			cluster.review = tc.review
			a := New(Options{Cluster: cluster})
			token, s := withToken(cluster.token(t, nil)), verifiedBy(v1alpha1.VerifyOnline)
			_, _ = a.Authenticate(context.Background(), s, token, noon)
			cluster.review = tc.second
			_, err := a.Authenticate(context.Background(), s, token, noon.Add(tc.later))
			if diff := cmp.Diff(tc.want, outcome(err)); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.asked, cluster.reviews); diff != "" {
				t.Errorf("%s\nreviews -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestAYesDoesNotOutliveTheToken(t *testing.T) {
	cluster := newFakeCluster(t)
	a := New(Options{Cluster: cluster})
	s := verifiedBy(v1alpha1.VerifyOnline)
	token := withToken(cluster.token(t, func(c map[string]any) { c["exp"] = noon.Add(2 * time.Second).Unix() }))
	if _, err := a.Authenticate(context.Background(), s, token, noon); err != nil {
		t.Fatal(err)
	}
	cluster.review = says(authenticationv1.TokenReviewStatus{})
	_, err := a.Authenticate(context.Background(), s, token, noon.Add(3*time.Second))
	if diff := cmp.Diff("bad", outcome(err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestASilentAPIServerIsNotWaitedForByEachRequest(t *testing.T) {
	cluster := newFakeCluster(t)
	cluster.review = isAway
	a := New(Options{Cluster: cluster})
	s, token := verifiedBy(v1alpha1.VerifyOnlinePreferred), withToken(cluster.token(t, nil))
	for range 5 {
		if _, err := a.Authenticate(context.Background(), s, token, noon); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(1, cluster.reviews); diff != "" {
		t.Errorf("reviews within the silence -want +got:\n%s", diff)
	}
	if _, err := a.Authenticate(context.Background(), s, token, noon.Add(silence+time.Second)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(2, cluster.reviews); diff != "" {
		t.Errorf("reviews after the silence -want +got:\n%s", diff)
	}
}

func TestAClientThatHangsUpDoesNotSilenceTheAPIServerForOthers(t *testing.T) {
	cluster := newFakeCluster(t)
	ctx, hangUp := context.WithCancel(context.Background())
	hungUp := make(chan struct{})
	cluster.review = func(ctx context.Context, _ string) (authenticationv1.TokenReviewStatus, error) {
		hangUp()
		<-hungUp
		return authenticationv1.TokenReviewStatus{}, ctx.Err()
	}
	a := New(Options{Cluster: cluster})
	s, token := verifiedBy(v1alpha1.VerifyOnlinePreferred), withToken(cluster.token(t, nil))
	_, err := a.Authenticate(ctx, s, token, noon)
	if diff := cmp.Diff("unavailable", outcome(err)); diff != "" {
		t.Errorf("a client that hung up -want +got:\n%s", diff)
	}
	close(hungUp)
	// The deleted account asks again, while the question of the first request is still open or has been answered.
	_, err = a.Authenticate(context.Background(), s, token, noon)
	if diff := cmp.Diff("bad", outcome(err)); diff != "" {
		t.Errorf("the deleted account of the next request -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(1, cluster.asked()); diff != "" || a.accounts.pulse.silent(noon) {
		t.Errorf("reviews -want +got:\n%s\nsilent: %v", diff, a.accounts.pulse.silent(noon))
	}
}

func TestReviewsAreBounded(t *testing.T) {
	cluster := newFakeCluster(t)
	a := New(Options{Cluster: cluster, Reviews: 1})
	a.accounts.reviews <- struct{}{} // one is under way
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := a.Authenticate(ctx, verifiedBy(v1alpha1.VerifyOnline), withToken(cluster.token(t, nil)), noon)
	if diff := cmp.Diff("unavailable", outcome(err)); diff != "" || cluster.reviews != 0 {
		t.Errorf("-want +got:\n%s\n%d reviews", diff, cluster.reviews)
	}
}

func TestOfTwoProvidersTheStricterVerifies(t *testing.T) {
	cluster := newFakeCluster(t)
	cluster.review = says(authenticationv1.TokenReviewStatus{})
	a := New(Options{Cluster: cluster})
	s := accountsOf(map[string]v1alpha1.Verification{"a-lax": v1alpha1.VerifyOffline, "strict": v1alpha1.VerifyOnline})
	token := cluster.token(t, func(c map[string]any) { c["aud"] = []string{"a-lax", "strict"} })
	_, err := a.Authenticate(context.Background(), s, withToken(token), noon)
	if diff := cmp.Diff("bad", outcome(err)); diff != "" {
		t.Errorf("a deleted account with a token for both -want +got:\n%s", diff)
	}
}

func TestWithoutAClusterTokensProveNothing(t *testing.T) {
	token := newFakeCluster(t).token(t, nil)
	for _, verification := range []v1alpha1.Verification{v1alpha1.VerifyOffline, v1alpha1.VerifyOnlinePreferred, v1alpha1.VerifyOnline} {
		a := New(Options{})
		_, err := a.Authenticate(context.Background(), verifiedBy(verification), withToken(token), noon)
		if diff := cmp.Diff("bad", outcome(err)); diff != "" {
			t.Errorf("%s: it is no use to try again -want +got:\n%s", verification, diff)
		}
	}
	_, err := New(Options{}).Authenticate(context.Background(), snapshot.Build(snapshot.Input{}), withToken(token), noon)
	if diff := cmp.Diff("bad", outcome(err)); diff != "" {
		t.Errorf("without a provider -want +got:\n%s", diff)
	}
}
