package server

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
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
	before := w.asked(t, "tokenreviews")
	if before == 0 {
		t.Fatal("the API server has counted no TokenReview, and the ServiceAccount's token was reviewed")
	}
	for n := range 1000 {
		w.ask(t, "alice", kinds[n%len(kinds)](), "").is(t, "junk", refused)
		if t.Failed() {
			return
		}
	}
	if got := w.asked(t, "tokenreviews"); got != before {
		t.Errorf("%d TokenReviews of junk", got-before)
	}
	for user, password := range map[string]string{"alice": "secret", "ci": account} {
		if got := w.ask(t, user, password, ""); got.status != http.StatusOK {
			t.Errorf("%s, who has done nothing: %d %s", user, got.status, got.body)
		}
	}
}

// junkRefresh sends what looks like a refresh token by the thousand: with an id, a secret and a seal of the right form, and with those of
// a token that is good. The API server counts what it is asked of records, as it is about those that were made.
func (w *world) junkRefresh(t *testing.T) {
	w.allowRefresh(t)
	w.eventually(t, "refresh tokens are issued", func() bool { return w.login(t).refresh != "" })
	good := w.login(t).refresh
	before := w.asked(t, "issuedtokens")
	if before == 0 {
		t.Fatal("the API server has counted nothing about issuedtokens, and one was made")
	}
	part := func(n int) string {
		random := make([]byte, n)
		_, _ = rand.Read(random)
		return base64.RawURLEncoding.EncodeToString(random)
	}
	seal := good[strings.LastIndexByte(good, '.')+1:]
	id := func(n int) string { return "0-" + strconv.Itoa(n) + "-" + strings.ToLower(rand.Text()) }
	kinds := []func(n int) string{
		func(n int) string { return "twr_" + id(n) + "." + part(32) + "." + part(40) },
		func(n int) string { return "twr_" + id(n) + "." + part(32) + "." + seal },
		func(n int) string { return "twr_" + id(n) + good[strings.IndexByte(good, '.'):] },
		func(int) string { return "twr_" + part(96) },
	}
	basic := said{http.StatusUnauthorized, `{"errors":[{"code":"UNAUTHORIZED","message":"the refresh token was not accepted"}]}`, false}
	for n := range 1000 {
		text := kinds[n%len(kinds)](n)
		if n%8 < 4 {
			w.refresh(t, text).is(t, "junk in a form", notAccepted)
		} else {
			w.get(t, "<token>", text, url.Values{"service": {service}}).is(t, "junk as a password", basic)
		}
		if t.Failed() {
			return
		}
	}
	if got := w.asked(t, "issuedtokens"); got != before {
		t.Errorf("the API server was asked about records %d times", got-before)
	}
	if got := w.refresh(t, good); got.status != http.StatusOK {
		t.Errorf("the one that is good: %d %s", got.status, got.body)
	}
}

// asked is how often anything but a list or a watch, which the server keeps at all times, was asked of a resource since the API
// server was started.
func (w *world) asked(t *testing.T, resource string) (n int) {
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
		if !strings.HasPrefix(line, "apiserver_request_total{") || !strings.Contains(line, `resource="`+resource+`"`) ||
			strings.Contains(line, `verb="LIST"`) || strings.Contains(line, `verb="WATCH"`) {
			continue
		}
		value, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]))
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		n += value
	}
	return n
}
