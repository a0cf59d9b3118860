package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver"
)

const permissions = "/authz/protection/permission"

// ticket is a permission ticket for scopes of a resource.
func (w *world) ticket(t *testing.T, pat, id string, scopes ...string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"resource_id": id, "resource_scopes": scopes})
	if err != nil {
		t.Fatal(err)
	}
	answer := w.json(t, http.MethodPost, permissions, pat, string(body))
	if answer.status != http.StatusCreated {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	return answer.text("ticket")
}

func ticketForm(ticket string, more ...string) url.Values {
	form := url.Values{"grant_type": {umaGrant}, "ticket": {ticket}}
	for n := 0; n < len(more); n += 2 {
		form.Set(more[n], more[n+1])
	}
	return form
}

// TestTickets goes from a registration to a requesting party token, and races for one.
func TestTickets(t *testing.T) {
	w := startUMA(t, nil)
	pat := w.pat(t, "shop", "rs", ordersAPI)
	id := w.register(t, pat, `{"name":"Order 7","type":"order","resource_scopes":["read","write"]}`)
	form := func(ticket string) url.Values { return ticketForm(ticket, "response_mode", "permissions") }
	const reading = `[{"rsid":"%","rsname":"Order 7","scopes":["read"]}]`
	want := strings.Replace(reading, "%", id, 1)

	t.Run("A ticket becomes a token", func(t *testing.T) {
		answer := w.post(t, "/token", "alice", "secret", ticketForm(w.ticket(t, pat, id, "read", "write")))
		if answer.status != http.StatusOK || answer.text("access_token") == "" {
			t.Fatalf("status %d: %s", answer.status, answer.body)
		}
		w.post(t, "/token", "alice", "secret", form(w.ticket(t, pat, id, "read"))).says(t, "as permissions", 200, want)
	})
	t.Run("Many permissions, and what is refused", func(t *testing.T) { w.badPermissions(t, pat, id) })
	t.Run("One of a thousand", func(t *testing.T) { w.race(t, pat, id) })
	t.Run("Used on one server, it is used on all, and after a restart", func(t *testing.T) {
		ticket := w.ticket(t, pat, id, "read")
		kept := w.ticket(t, pat, id, "read")
		w.post(t, "/token", "alice", "secret", form(ticket)).says(t, "once", 200, want)
		spent := problem("invalid_grant", "the permission ticket was used before")
		w.second.post(t, "/token", "alice", "secret", form(ticket)).says(t, "on the other server at once", 400, spent)
		w.second.stop()
		third := serve(t, w.plane, w.config, func(o *tokenserver.Options) { o.UMA, o.PodName = true, "server-2" })
		third.ready(t)
		third.post(t, "/token", "alice", "secret", form(ticket)).says(t, "on a server that started since", 400, spent)
		third.post(t, "/token", "alice", "secret", form(kept)).says(t, "what was not used is good there", 200, want)
	})
	w.holdsNoSecret(t, pat)
}

// race lets a thousand come at once with one ticket, to two servers. They are of so many users that nobody is told to be slower:
// each of them could have the ticket.
func (w *umaWorld) race(t *testing.T, pat, id string) {
	const comers, people = 1000, 25
	ticket := w.ticket(t, pat, id, "read")
	before := w.revocations(t)
	tokens := w.crowd(t, people)
	w.second.eventually(t, "the other server knows the resource", func() bool {
		return w.second.json(t, http.MethodGet, resources+"/"+id, pat, "").status == http.StatusOK
	})
	var mu sync.Mutex
	answers := map[string]int{}
	var all sync.WaitGroup
	start := make(chan struct{})
	for n := range comers {
		server, user := []*world{w.world, w.second}[n%2], tokens[n/2%people]
		all.Go(func() {
			<-start
			answer := server.untilItAnswers(t, "/token", user, ticketForm(ticket))
			said := strconv.Itoa(answer.status)
			if answer.status != http.StatusOK {
				said += " " + strings.TrimSpace(string(answer.body))
			}
			mu.Lock()
			defer mu.Unlock()
			answers[said]++
		})
	}
	close(start)
	all.Wait()
	want := map[string]int{"200": 1, "400 " + problem("invalid_grant", "the permission ticket was used before"): comers - 1}
	if diff := cmp.Diff(want, answers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if stored := w.revocations(t) - before; stored != 1 {
		t.Errorf("%d TokenRevocations were stored for one ticket", stored)
	}
}

func (w *umaWorld) revocations(t *testing.T) int {
	t.Helper()
	var list v1alpha1.TokenRevocationList
	if err := w.plane.Client.List(t.Context(), &list, client.InNamespace(system)); err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

// crowd are access tokens of people who may all read orders.
func (w *umaWorld) crowd(t *testing.T, people int) []string {
	t.Helper()
	var names []string
	policy := &v1alpha1.ClusterAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "crowd"}}
	policy.Spec.Rules = []v1alpha1.Rule{{Type: "order", Names: []v1alpha1.ResourceName{"**"}, Actions: []v1alpha1.Action{"read"}}}
	for n := range people {
		names = append(names, "comer-"+strconv.Itoa(n))
		policy.Spec.Subjects = append(policy.Spec.Subjects, v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: names[n]})
	}
	w.addUsers(t, names...)
	w.create(t, policy)
	last := url.Values{
		"grant_type": {umaGrant}, "audience": {ordersAPI}, "permission": {"#read"}, "response_mode": {"decision"},
	}
	for _, server := range []*world{w.world, w.second} {
		server.eventually(t, "the server knows the crowd", func() bool {
			return server.post(t, "/token", names[people-1], "secret", last).status == http.StatusOK
		})
	}
	tokens := make([]string, people)
	for n, name := range names {
		tokens[n] = w.user(t, name, ordersAPI)
	}
	return tokens
}

// untilItAnswers asks again where the server says that there is too much to do at present, as clients do. That a caller is too fast
// is an answer.
func (w *world) untilItAnswers(t *testing.T, path, bearer string, form url.Values) reply {
	t.Helper()
	var answer reply
	w.eventually(t, "an answer", func() bool {
		answer = w.post(t, path, "bearer", bearer, form)
		return answer.status != http.StatusServiceUnavailable
	})
	return answer
}

func (w *umaWorld) badPermissions(t *testing.T, pat, id string) {
	many := w.json(t, http.MethodPost, permissions, pat, `[{"resource_id":"`+id+`","resource_scopes":["read"]},{"resource_set_id":"`+id+`","scopes":["write"]}]`)
	if many.status != http.StatusCreated || many.text("ticket") == "" {
		t.Errorf("many: %d %s", many.status, many.body)
	}
	one := `{"resource_id":"` + id + `","resource_scopes":["read"]`
	expected := problem("invalid_request", "the body is not JSON of the form that is expected here")
	for name, tc := range map[string]struct {
		who, body string
		status    int
		want      string
	}{
		"Nobody":                   {"", one + "}", 401, problem("invalid_token", "a bearer token is missing")},
		"Alice":                    {w.user(t, "alice", ordersAPI), one + "}", 403, problem("insufficient_scope", "the token has not the scope uma_protection")},
		"An unknown resource":      {pat, `{"resource_id":"shop/none","resource_scopes":["read"]}`, 400, problem("invalid_resource_id", "the resource is not known at this audience")},
		"No resource":              {pat, `{"resource_scopes":["read"]}`, 400, problem("invalid_resource_id", "the resource is not known at this audience")},
		"An unknown scope":         {pat, `{"resource_id":"` + id + `","resource_scopes":["fly"]}`, 400, problem("invalid_scope", "the resource has no such scope")},
		"None":                     {pat, `[]`, 400, problem("invalid_request", "there must be 1 to 256 permissions")},
		"257":                      {pat, "[" + strings.Repeat(one+"},", 256) + one + "}]", 400, problem("invalid_request", "there must be 1 to 256 permissions")},
		"Spelled in two ways":      {pat, one + `,"resource_set_id":"x"}`, 400, problem("invalid_request", "a permission must have resource_id and resource_scopes, or resource_set_id and scopes")},
		"Claims that are no lists": {pat, one + `,"claims":{"ward":"7"}}`, 400, expected},
		"Claims without a value":   {pat, one + `,"claims":{"ward":[]}}`, 400, problem("invalid_request", "a claim must have 1 to 16 values")},
		"Claims that contradict":   {pat, "[" + one + `,"claims":{"w":["1"]}},` + one + `,"claims":{"w":["2"]}}]`, 400, problem("invalid_request", "two permissions of one resource have different claims")},
		"A list in a list":         {pat, "[[" + one + "}]]", 400, expected},
		"A text":                   {pat, `"` + id + `"`, 400, expected},
	} {
		t.Run(name, func(t *testing.T) {
			w.json(t, http.MethodPost, permissions, tc.who, tc.body).says(t, name, tc.status, tc.want)
		})
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+permissions, strings.NewReader("resource_id=x"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", "Bearer "+pat)
	w.do(t, request).says(t, "A form", 400, problem("invalid_request", "the content type must be application/json"))
}
