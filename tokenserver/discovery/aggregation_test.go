package discovery

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// named is the body that names these lists.
func named(numbers ...int) string {
	var uris []string
	for _, number := range numbers {
		uris = append(uris, fmt.Sprintf(`"https://auth.example.com/statuslists/%d"`, number))
	}
	return `{"status_lists":[` + strings.Join(uris, ",") + "]}\n"
}

func TestAggregation(t *testing.T) {
	const unknown = `{"error":"temporarily_unavailable","error_description":"which tokens are good is not known at present"}` + "\n"
	const nothing = `{"error":"not_found","error_description":"there is nothing here"}` + "\n"
	const kept = "public, max-age=15, must-revalidate"
	type want struct {
		Status             int
		Body, Cache, Types string
	}
	ok := func(numbers ...int) want { return want{http.StatusOK, named(numbers...), kept, "application/json"} }
	other := func(t *testing.T) snapshot.Keys {
		return fixture.Key(t, "registry", v1alpha1.X509Chain, begin, "r")
	}
	cases := map[string]struct {
		reason string
		keys   func(*testing.T) snapshot.Keys
		path   string
		change func(*listWorld)
		want   want
	}{
		"No record":                     {"the first list is there before the first token", keyID, "/statuslists", nil, ok(0)},
		"Below the prefix, and a slash": {"as the lists are", keyID, "/prefix/statuslists/", nil, ok(0)},
		"Records of many lists": {
			"a list ends with the last token of it, whatever audience that is for", keyID, "/statuslists",
			func(w *listWorld) {
				w.Records.PutRecord(recorded(12, 1, nil))
				w.Records.PutRecord(recorded(7, 1, func(t *v1alpha1.IssuedToken) { t.Spec.Audience = "another" }))
				w.Records.PutRecord(recorded(9, 1, func(t *v1alpha1.IssuedToken) { t.Spec.Type = v1alpha1.RefreshToken }))
			}, ok(0, 7, 12),
		},
		"More records than a list is filled with": {
			"there is another one to draw from", keyID, "/statuslists",
			func(w *listWorld) {
				for n := range slot.Size / 16 {
					w.Records.PutRecord(recorded(0, n, nil))
				}
			}, ok(0, 1),
		},
		"No key for lists":       {"there are none", other, "/statuslists", nil, ok()},
		"An issuer that is none": {"nobody could look for lists", keyID, "/statuslists", func(w *listWorld) { w.Issuer.Lists = "" }, want{404, nothing, "no-store", "application/json"}},
		"A server that is cut off": {
			"a list may have come", keyID, "/statuslists",
			func(w *listWorld) { w.Issuer.Fence = snapshot.NewFence(time.Hour) }, want{503, unknown, "no-store", "application/json"},
		},
		"A server that hears of nothing": {
			"a list may have come", keyID, "/statuslists",
			func(w *listWorld) { w.Current = func() bool { return false } }, want{503, unknown, "no-store", "application/json"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newLists(t, tc.keys(t))
			if tc.change != nil {
				tc.change(w)
			}
			answer := w.ask(tc.path, nil)
			header := answer.Header()
			got := want{answer.Code, answer.Body.String(), header.Get("Cache-Control"), header.Get("Content-Type")}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if (answer.Code == http.StatusServiceUnavailable) != (header.Get("Retry-After") != "") {
				t.Errorf("Retry-After = %q", header.Get("Retry-After"))
			}
		})
	}
}

// TestEveryListThatIsNamedIsServed, and no other one is.
func TestEveryListThatIsNamedIsServed(t *testing.T) {
	w := newLists(t, keyID(t))
	w.Records.PutRecord(recorded(2, 5, nil))
	if got := w.ask("/statuslists", nil).Body.String(); got != named(0, 2) {
		t.Fatalf("got %s", got)
	}
	for number, status := range []int{http.StatusOK, http.StatusNotFound, http.StatusOK, http.StatusNotFound} {
		if answer := w.ask(fmt.Sprintf("/statuslists/%d", number), nil); answer.Code != status {
			t.Errorf("list %d: got %d %s", number, answer.Code, answer.Body)
		}
	}
	w.Records.DeleteRecord("token-2-5")
	w.now = w.now.Add(readEvery)
	if got := w.ask("/statuslists", nil).Body.String(); got != named(0) {
		t.Errorf("after its last token: %s", got)
	}
}
