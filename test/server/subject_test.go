package server

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver"
)

// TestASubjectIsRevokedByAnObject has somebody create the TokenRevocation, as kubectl does. That a subject comes back, and when,
// is shown without a cluster: here the times of creation are the API server's.
func TestASubjectIsRevokedByAnObject(t *testing.T) {
	first := start(t)
	config, err := first.plane.ServerConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second := serve(t, first.plane, config, func(o *tokenserver.Options) { o.PodName = "server-1" })
	second.ready(t)
	first.allowRefresh(t)
	first.eventually(t, "refresh tokens are issued", func() bool { return first.login(t).refresh != "" })
	token := first.login(t).refresh
	both := []*world{first, second}
	for _, w := range both {
		w.eventually(t, "the token is known", func() bool { return w.refresh(t, token).status == http.StatusOK })
	}
	records := first.records(t)
	now := time.Now().UTC()
	first.create(t, &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "alice"},
		Spec: v1alpha1.TokenRevocationSpec{Subject: &v1alpha1.RevokedSubject{
			Username: "alice", IssuedBefore: v1alpha1.NewDateTime(now),
		}},
	})
	wait := `{"errors":[{"code":"UNAVAILABLE","message":"the tokens of this user were revoked a moment ago"}]}`
	for _, w := range both {
		w.eventually(t, "the revocation is known", func() bool { return w.refresh(t, token).status != http.StatusOK })
		w.refresh(t, token).is(t, "the refresh token", notAccepted)
		for what, got := range map[string]reply{"a token": w.ask(t, "alice", "secret", ""), "a refresh token": w.login(t).reply} {
			got.is(t, what, said{http.StatusServiceUnavailable, wait, true})
			if after, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || after > 121 || after < 60 {
				t.Errorf("%s: Retry-After = %q", what, got.header.Get("Retry-After"))
			}
		}
	}
	if got := first.records(t); got != records {
		t.Errorf("%d records, and %d before", got, records)
	}
}
