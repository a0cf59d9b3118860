package server

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes"
)

// junk sends what looks like a token of a ServiceAccount by the thousand: what nobody signed, and what was signed for others. The
// API server counts what it is asked.
func (w *world) junk(t *testing.T, account, foreign string) {
	part := func(n int) string {
		random := make([]byte, n)
		_, _ = rand.Read(random)
		return base64.RawURLEncoding.EncodeToString(random)
	}
	halves := strings.SplitAfterN(account, ".", 3)
	kinds := []func() string{
		func() string { return part(60) + "." + part(400) + "." + part(256) },
		func() string { return halves[0] + part(400) + "." + part(256) },
		func() string { return halves[0] + halves[1] + part(256) },
		func() string { return foreign },
	}
	refused := said{http.StatusUnauthorized, `{"errors":[{"code":"UNAUTHORIZED","message":"the credentials were not accepted"}]}`, false}
	before := w.reviews(t)
	for n := range 1000 {
		w.ask(t, "alice", kinds[n%len(kinds)](), "").is(t, "junk", refused)
		if t.Failed() {
			return
		}
	}
	if got := w.reviews(t); got != before {
		t.Errorf("%d TokenReviews of junk", got-before)
	}
	for user, password := range map[string]string{"alice": "secret", "ci": account} {
		if got := w.ask(t, user, password, ""); got.status != http.StatusOK {
			t.Errorf("%s, who has done nothing: %d %s", user, got.status, got.body)
		}
	}
}

// reviews is how many TokenReviews were created since the API server was started.
func (w *world) reviews(t *testing.T) (n int) {
	t.Helper()
	client, err := kubernetes.NewForConfig(w.plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	text, err := client.RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "apiserver_request_total{") || !strings.Contains(line, `resource="tokenreviews"`) {
			continue
		}
		value, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]))
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		n += value
	}
	if n == 0 {
		t.Fatal("the API server has counted no TokenReview, and the ServiceAccount's token was reviewed")
	}
	return n
}
