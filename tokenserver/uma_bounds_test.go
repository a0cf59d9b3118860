package tokenserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// TestAnOfferTakesTwoFromThePace: it is stored, and decided. An owner cannot have a request stored for each of any number of users.
func TestAnOfferTakesTwoFromThePace(t *testing.T) {
	w := startKeycloak(t)
	stored := 0
	for {
		answer := w.json(t, http.MethodPost, pathRequests, w.alice, `{"resource":"`+w.photos+`","requester":"u-`+strconv.Itoa(stored)+`","granted":true}`)
		if answer.status != http.StatusOK {
			answer.is(t, "there is an end", 429, problemOf("temporarily_unavailable", "too much is stored for the caller: try again later"))
			break
		}
		if stored++; stored > 100 {
			break
		}
	}
	// 30 objects at once and one a second make 15 offers, and one for every two seconds that it took.
	if stored < 15 || stored > 20 {
		t.Errorf("%d offers were stored", stored)
	}
}

// TestAnOfferIsDecidedThoughItsOwnerHangsUp: between the two writes of an offer. Else the request would wait for a decision in the
// name of somebody who never asked.
func TestAnOfferIsDecidedThoughItsOwnerHangsUp(t *testing.T) {
	w := startKeycloak(t)
	ctx, hangUp := context.WithCancel(t.Context())
	w.registry.stored = func(of context.Context) {
		hangUp()
		select {
		case <-of.Done():
		case <-time.After(300 * time.Millisecond):
		}
	}
	body := strings.NewReader(`{"resource":"` + w.photos + `","requester":"bob","granted":true}`)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+pathRequests, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+w.alice)
	answer, err := http.DefaultClient.Do(request)
	if err == nil {
		answer.Body.Close()
		t.Fatalf("an answer came, %s: nobody hung up", answer.Status)
	}
	var states []v1alpha1.RequestState
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var all v1alpha1.PermissionRequestList
		if err := w.registry.List(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		states = states[:0]
		for n := range all.Items {
			states = append(states, all.Items[n].Status.State)
		}
		if cmp.Equal([]v1alpha1.RequestState{v1alpha1.RequestApproved}, states) {
			return
		}
	}
	t.Errorf("the requests are %q", states)
}

// TestTheAuditLogGrantsWhatIsApproved has alice approve a part, deny it, and the request go.
func TestTheAuditLogGrantsWhatIsApproved(t *testing.T) {
	w := startKeycloak(t)
	album, _ := fields(t, w.send(w.pat, http.MethodPost, pathResources,
		`{"name":"Album","resource_scopes":["edit","view"],"owner":"alice","ownerManagedAccess":true}`).body)["_id"].(string)
	asked, _ := fields(t, w.send(w.bob, http.MethodPost, pathRequests, `{"resource":"`+album+`","scopes":["edit","view"]}`).body)["id"].(string)
	for _, body := range []string{`{"granted":true,"scopes":["view"]}`, `{"granted":true}`, `{"granted":false}`} {
		if answer := w.send(w.alice, http.MethodPut, pathRequests+"/"+asked, body); answer.status != http.StatusNoContent {
			t.Fatalf("%s: %d %s", body, answer.status, answer.body)
		}
	}
	if answer := w.send(w.alice, http.MethodDelete, pathRequests+"/"+asked, ""); answer.status != http.StatusNoContent {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	type line struct {
		Outcome, Subject, For string
		Requested, Granted    []string
	}
	all, part := []string{"resource:" + album + ":edit,view"}, []string{"resource:" + album + ":view"}
	want := []line{
		{"stored", "bob", "bob", all, []string{}}, {"approved", "alice", "bob", all, part}, {"approved", "alice", "bob", all, all},
		{"denied", "alice", "bob", all, []string{}}, {"deleted", "alice", "bob", all, []string{}},
	}
	var got []line
	for text := range strings.Lines(readFile(t, w.auditFile)) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		if l.For == "bob" {
			got = append(got, l)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWholeListsHaveAnEnd: how much tenants write into attributes is up to them, and what a caller is sent is not.
func TestWholeListsHaveAnEnd(t *testing.T) {
	large := map[string][]string{"notes": {strings.Repeat("n", 10_000)}}
	w := startUMA(t, func(_ *Options, _ *Parts, input *snapshot.Input) {
		input.Policies = fixture.Policies(t, fixture.Cluster("protects", users("rs"), oauthRule(api, "uma_protection"), nil))
		var many []*resource.Resource
		for n := range 500 {
			name := fmt.Sprintf("r%03d", n)
			many = append(many, &resource.Resource{
				ID: "ci/" + name, Name: name, Namespace: "ci", Object: name, Audience: api, Scopes: []string{"view"}, Attributes: large,
			})
		}
		input.Resources = input.Resources.With(api, many)
	})
	pat := w.aat(t, "rs", "rs-secret", api, "uma_protection")
	w.json(t, http.MethodGet, pathResources+"?deep=true&max=500", pat, "").
		is(t, "5 MB", 400, problemOf("invalid_request", "the answer would be larger than 4 MiB: ask for fewer by max, or for the ids"))
	for query, want := range map[string]int{"?deep=true&max=400": 400, "?max=500": 500} {
		answer := w.json(t, http.MethodGet, pathResources+query, pat, "")
		var list []any
		if err := json.Unmarshal(answer.body, &list); err != nil || answer.status != http.StatusOK || len(list) != want {
			t.Errorf("%s: %d with %d (%v)", query, answer.status, len(list), err)
		}
	}
}
