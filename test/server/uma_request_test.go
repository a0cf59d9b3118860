package server

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver"
)

const (
	requests  = "/authz/protection/permission/ticket"
	onlyOwner = "only the owner decides, by a login or a token with the scope uma_authorization; or who registered the resource and has the action register_for_others, but not for itself"
)

// album is a resource of alice's with its resource server.
type album struct {
	*umaWorld
	pat, id, alice, bob string
}

func (w *umaWorld) album(t *testing.T, name, agent string) *album {
	t.Helper()
	a := &album{umaWorld: w, pat: w.pat(t, "shop", agent, ordersAPI), alice: w.user(t, "alice", ordersAPI), bob: w.user(t, "bob", ordersAPI)}
	a.id = w.register(t, a.pat, `{"name":"`+name+`","type":"album","owner":"alice","ownerManagedAccess":true,"resource_scopes":["edit","view"]}`)
	return a
}

// asks is bob with a ticket for a scope.
func (a *album) asks(t *testing.T, scopes ...string) reply {
	t.Helper()
	return a.post(t, "/token", "bearer", a.bob, ticketForm(a.ticket(t, a.pat, a.id, scopes...), "submit_request", "true", "response_mode", "permissions"))
}

// request is the only one about the album that a visitor sees.
func (a *album) request(t *testing.T, bearer string) map[string]any {
	t.Helper()
	list := decode[[]map[string]any](t, a.json(t, http.MethodGet, requests+"?returnNames=true&resourceId="+a.id, bearer, ""))
	if len(list) != 1 {
		t.Fatalf("requests: %v", list)
	}
	return list[0]
}

// TestOwnersDecide goes from a refusal to an approval, and back.
func TestOwnersDecide(t *testing.T) {
	w := startUMA(t, nil)
	t.Run("Asked, approved, denied", w.askedAndApproved)
	t.Run("Who may do what", w.whoDecides)
	t.Run("A resource server approves nothing that was declared", w.declaredIsTheOwners)
	t.Run("What is refused", w.badRequests)
	t.Run("An owner shares", w.shared)
	t.Run("What kubectl approved before does not stay", w.narrowed)
	t.Run("A user asks for no more than 50 at once", w.tooMany)
	w.holdsNoSecret(t)
}

func (w *umaWorld) askedAndApproved(t *testing.T) {
	a := w.album(t, "Beach", "agent")
	answer := a.asks(t, "view")
	if answer.status != http.StatusForbidden || answer.text("error") != "request_submitted" || answer.text("ticket") == "" {
		t.Fatalf("asked: %d %s", answer.status, answer.body)
	}
	seen := a.request(t, a.alice)
	id, _ := seen["id"].(string)
	want := map[string]any{
		"id": id, "owner": "alice", "ownerName": "alice", "requester": "bob", "requesterName": "bob", "resource": a.id, "resourceName": "Beach",
		"scope": "view", "scopeName": "view", "scopes": []any{"view"}, "granted": false, "state": "Pending",
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("alice sees (-want +got):\n%s", diff)
	}
	namespace, name, _ := strings.Cut(id, "/")
	var object v1alpha1.PermissionRequest
	if err := w.plane.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &object); err != nil {
		t.Fatal(err)
	}
	about := w.object(t, a.id)
	if len(object.OwnerReferences) != 1 || object.OwnerReferences[0].UID != about.UID || object.Spec.Resource.UID != string(about.UID) || object.Spec.Owner != "alice" {
		t.Errorf("stored: %+v", object)
	}
	a.asks(t, "view") // twice is one
	a.request(t, a.alice)

	w.json(t, http.MethodPut, requests, a.alice, `{"id":"`+id+`","granted":true}`).says(t, "alice approves", 204, "")
	granted := `[{"rsid":"` + a.id + `","rsname":"Beach","scopes":["view"]}]`
	a.asks(t, "view").says(t, "at once on the server that stored it", 200, granted)
	if seen := a.request(t, a.bob); seen["granted"] != true || seen["state"] != "Approved" {
		t.Errorf("bob sees %v", seen)
	}
	w.second.eventually(t, "on the other server", func() bool {
		return w.second.post(t, "/token", "bearer", a.bob, url.Values{"grant_type": {umaGrant}, "audience": {ordersAPI}, "permission": {a.id + "#view"}, "response_mode": {"decision"}}).status == 200
	})
	w.json(t, http.MethodPut, requests+"/"+url.PathEscape(id), a.alice, `{"granted":false}`).says(t, "alice changes her mind", 204, "")
	denied := problem("request_denied", "no policy grants what was asked for")
	a.asks(t, "view").says(t, "denied, and she is not asked again", 403, denied)
	w.json(t, http.MethodDelete, requests+"/"+id, a.bob, "").says(t, "nor can bob make it unsaid", 403,
		problem("access_denied", "only the owner deletes it, or, if it was not denied, the resource server in the resource's namespace or who asked"))
	w.json(t, http.MethodDelete, requests+"/"+id, a.pat, "").says(t, "nor the resource server", 403,
		problem("access_denied", "only the owner deletes it, or, if it was not denied, the resource server in the resource's namespace or who asked"))
	w.json(t, http.MethodDelete, requests+"/"+id, a.alice, "").says(t, "alice can", 204, "")
	if got := a.asks(t, "view"); got.text("error") != "request_submitted" {
		t.Errorf("asked anew: %s", got.body)
	}
	lines := w.auditOf(t, "approved", "denied", "deleted")
	if diff := cmp.Diff([]string{"approved alice bob", "denied alice bob", "deleted alice bob"}, lines); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

func (w *umaWorld) whoDecides(t *testing.T) {
	a := w.album(t, "Vault", "agent-2")
	a.asks(t, "view")
	id, _ := a.request(t, a.alice)["id"].(string)
	owners := problem("access_denied", onlyOwner)
	none := problem("not_found", "there is nothing here")
	elsewhere := w.user(t, "alice", otherAPI)
	for name, tc := range map[string]struct {
		who, body string
		status    int
		want      string
	}{
		"Bob":                                    {a.bob, `{"granted":true}`, 403, owners},
		"A user whom it does not concern":        {w.user(t, "rs", ordersAPI), `{"granted":true}`, 404, none},
		"Alice with a token of another server":   {elsewhere, `{"granted":true}`, 404, none},
		"A resource server in another namespace": {w.pat(t, "shop-b", "rs", ordersAPI), `{"granted":true}`, 404, none},
		"Who may not register for others":        {w.pat(t, "shop", "rs", ordersAPI), `{"granted":true}`, 403, owners},
		"Who did not register it":                {w.pat(t, "shop", "agent-3", ordersAPI), `{"granted":true}`, 403, owners},
		"Another resource server":                {w.pat(t, "shop", "rs", otherAPI), `{"granted":true}`, 404, none},
		"Alice with a narrow token": {
			w.post(t, "/token", "alice", "secret", url.Values{"grant_type": {"client_credentials"}, "audience": {ordersAPI}, "scope": {"order:x:read"}}).text("access_token"),
			`{"granted":true}`, 403, problem("insufficient_scope", "the token neither stands for the caller nor speaks for a resource server: ask for one with the scope uma_authorization or uma_protection"),
		},
		"A requesting party token": {w.post(t, "/token", "alice", "secret", url.Values{"grant_type": {umaGrant}, "audience": {ordersAPI}}).text("access_token"), `{"granted":true}`, 401, problem("invalid_token", "the token was not accepted")},
		"What was not asked for":   {a.alice, `{"granted":true,"scopes":["edit"]}`, 400, problem("invalid_scope", "the scope was not asked for")},
		"Neither yes nor no":       {a.alice, `{}`, 400, problem("invalid_request", "granted must be true or false")},
		"Perhaps":                  {a.alice, `{"granted":"true"}`, 400, problem("invalid_request", "the body is not JSON of the form that is expected here")},
		"Another id than the path": {a.alice, `{"id":"shop/x","granted":true}`, 400, problem("invalid_request", "id is another than that of the path")},
	} {
		t.Run(name, func(t *testing.T) {
			w.json(t, http.MethodPut, requests+"/"+id, tc.who, tc.body).says(t, name, tc.status, tc.want)
		})
	}
	if seen := a.request(t, a.alice); seen["state"] != "Pending" {
		t.Errorf("somebody decided: %v", seen)
	}
	w.json(t, http.MethodGet, requests+"?resourceId="+a.id, w.user(t, "rs", ordersAPI), "").says(t, "others see nothing", 200, "[]")
	w.json(t, http.MethodGet, requests+"?resourceId="+a.id, elsewhere, "").says(t, "nor does alice by a token of another server", 200, "[]")
	w.json(t, http.MethodGet, requests+"?resourceId="+a.id, w.pat(t, "shop-b", "rs", ordersAPI), "").says(t, "nor a resource server of another namespace", 200, "[]")
	a.request(t, w.pat(t, "shop", "rs", ordersAPI))
	w.json(t, http.MethodPut, requests+"/"+id, a.pat, `{"granted":true}`).says(t, "the resource server that registered it", 204, "")
	w.json(t, http.MethodDelete, requests+"/"+id, a.bob, "").says(t, "bob gives it back", 204, "")
	w.json(t, http.MethodGet, requests+"/"+id, a.bob, "").says(t, "it is gone", 404, none)
}

// declaredIsTheOwners is an attack: a resource server, even one that may register for others, gives itself or a friend what somebody
// declared for alice.
func (w *umaWorld) declaredIsTheOwners(t *testing.T) {
	object := &v1alpha1.ProtectedResource{Spec: v1alpha1.ProtectedResourceSpec{
		Type: "order", Scopes: []v1alpha1.ResourceScope{"burn"}, Owner: "alice", OwnerManagedAccess: v1alpha1.Allowed, Audience: ordersAPI,
	}}
	object.Namespace, object.Name = "shop", "declared"
	object.Labels = map[string]string{v1alpha1.LabelRegisteredBy: "agent"} // a label proves nothing
	if err := w.plane.Client.Create(t.Context(), object, client.FieldOwner("kubectl")); err != nil {
		t.Fatal(err)
	}
	agent := w.pat(t, "shop", "agent", ordersAPI)
	w.eventually(t, "it is served", func() bool { return w.json(t, http.MethodGet, resources+"/shop/declared", agent, "").status == 200 })
	for requester, pat := range map[string]string{
		"system:serviceaccount:shop:mallory": w.pat(t, "shop", "mallory", ordersAPI), "system:serviceaccount:shop:agent": agent, "bob": agent,
	} {
		w.json(t, http.MethodPost, requests, pat, `{"resource":"shop/declared","requester":"`+requester+`","granted":true}`).
			says(t, requester, 403, problem("access_denied", onlyOwner))
	}
	if got := w.json(t, http.MethodPost, requests, agent, `{"resource":"shop/declared"}`); got.status != 201 || got.text("state") != "Pending" {
		t.Errorf("it may ask: %d %s", got.status, got.body)
	}
	w.json(t, http.MethodGet, requests+"?resourceId=shop/declared&granted=true", agent, "").says(t, "nothing was granted", 200, "[]")
}

func (w *umaWorld) badRequests(t *testing.T) {
	a := w.album(t, "Attic", "agent-3")
	plain := w.register(t, a.pat, `{"name":"Plain","resource_scopes":["view"]}`)
	for name, tc := range map[string]struct {
		who, body string
		status    int
		want      string
	}{
		"Nobody":                 {"", `{}`, 401, problem("invalid_client", "the caller must prove who it is")},
		"An unknown resource":    {a.bob, `{"resource":"shop/none"}`, 400, problem("invalid_resource_id", "the resource is not known")},
		"An unknown scope":       {a.bob, `{"resource":"` + a.id + `","scope":"fly"}`, 400, problem("invalid_scope", "the resource has no such scope")},
		"A grant to oneself":     {a.bob, `{"resource":"` + a.id + `","requester":"bob","granted":true}`, 403, problem("access_denied", onlyOwner)},
		"A resource server's":    {a.pat, `{"resource":"` + a.id + `","requester":"system:serviceaccount:shop:agent-3","granted":true}`, 403, problem("access_denied", onlyOwner)},
		"In another's name":      {a.bob, `{"resource":"` + a.id + `","requester":"rs"}`, 403, problem("access_denied", "in another's name it is offered, with granted, and not asked")},
		"In a victim's name":     {a.alice, `{"resource":"` + a.id + `","requester":"rs"}`, 403, problem("access_denied", "in another's name it is offered, with granted, and not asked")},
		"From the owner":         {a.alice, `{"resource":"` + a.id + `"}`, 400, problem("invalid_request", "the owner has every scope already")},
		"To nobody":              {a.alice, `{"resource":"` + a.id + `","granted":true}`, 400, problem("invalid_request", "requester is missing")},
		"To a group":             {a.alice, `{"resource":"` + a.id + `","requester":"system:authenticated","granted":true}`, 400, problem("invalid_request", "requester: must be somebody: of the names with system: only those of ServiceAccounts, system:serviceaccount:<namespace>:<name>")},
		"To two":                 {a.alice, `{"resource":"` + a.id + `","requester":"bob","requesterName":"rs","granted":true}`, 400, problem("invalid_request", "requester and requesterName must be the same")},
		"Of what nobody manages": {a.bob, `{"resource":"` + plain + `"}`, 400, problem("invalid_request", "the owner does not manage the resource: policies alone decide")},
	} {
		t.Run(name, func(t *testing.T) {
			w.json(t, http.MethodPost, requests, tc.who, tc.body).says(t, name, tc.status, tc.want)
		})
	}
	w.json(t, http.MethodPut, requests, a.alice, `{"granted":true}`).says(t, "no id", 400, problem("invalid_request", "id is missing"))
	w.json(t, http.MethodPut, requests, a.alice, `{"id":"shop/none","granted":true}`).says(t, "an unknown id", 404, problem("not_found", "there is nothing here"))
	w.json(t, http.MethodGet, requests+"?granted=perhaps", a.alice, "").says(t, "a filter", 400, problem("invalid_request", "granted must be true or false"))
	w.json(t, http.MethodGet, requests+"?resourceId="+a.id, a.alice, "").says(t, "nothing was stored", 200, "[]")
}

func (w *umaWorld) shared(t *testing.T) {
	a := w.album(t, "Garden", "agent")
	body := `{"resource":"` + a.id + `","requester":"bob","scopeName":"view","granted":true}`
	answer := w.json(t, http.MethodPost, requests, a.alice, body)
	if answer.status != http.StatusCreated || answer.text("state") != "Approved" {
		t.Fatalf("shared: %d %s", answer.status, answer.body)
	}
	a.asks(t, "view").says(t, "bob has it at once", 200, `[{"rsid":"`+a.id+`","rsname":"Garden","scopes":["view"]}]`)
	if again := w.json(t, http.MethodPost, requests, a.alice, body); again.text("id") != answer.text("id") {
		t.Errorf("the same twice is one: %s", again.body)
	}
	w.json(t, http.MethodDelete, resources+"/"+a.id, a.pat, "").says(t, "the album goes", 204, "")
	w.json(t, http.MethodGet, requests+"?requester=bob&resourceId="+a.id, a.alice, "").says(t, "and with it what was asked", 200, "[]")
}

// narrowed has kubectl approve two scopes by server-side apply, and alice one of them.
func (w *umaWorld) narrowed(t *testing.T) {
	a := w.album(t, "Cellar", "agent-2")
	a.asks(t, "view", "edit")
	id, _ := a.request(t, a.alice)["id"].(string)
	namespace, name, _ := strings.Cut(id, "/")
	object := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"state": "Approved", "scopes": []any{"edit", "view"}}}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("PermissionRequest"))
	object.SetNamespace(namespace)
	object.SetName(name)
	if err := w.plane.Client.Status().Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("kubectl"), client.ForceOwnership); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, "both are granted", func() bool {
		return strings.Contains(string(a.asks(t, "view", "edit").body), `"scopes":["edit","view"]`)
	})
	w.json(t, http.MethodPut, requests+"/"+id, a.alice, `{"granted":true,"scopes":["view"]}`).says(t, "alice", 204, "")
	a.asks(t, "view", "edit").says(t, "one is left", 200, `[{"rsid":"`+a.id+`","rsname":"Cellar","scopes":["view"]}]`)
	var stored v1alpha1.PermissionRequest
	if err := w.plane.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &stored); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]v1alpha1.ResourceScope{"view"}, stored.Status.Scopes); diff != "" || stored.Status.DecidedBy != "alice" {
		t.Errorf("stored: %s by %s", diff, stored.Status.DecidedBy)
	}
}

// tooMany has the requests made by an administrator: the server lets nobody store so many within seconds.
func (w *umaWorld) tooMany(t *testing.T) {
	a := w.album(t, "Roof", "agent-3")
	about := w.object(t, a.id)
	for n := range 50 {
		request := &v1alpha1.PermissionRequest{Spec: v1alpha1.PermissionRequestSpec{
			Resource: v1alpha1.RequestedResource{Name: about.Name, UID: string(about.UID)}, Audience: ordersAPI, Owner: "alice",
			Requester: "rs", Scopes: []v1alpha1.ResourceScope{"view"},
		}}
		request.Namespace, request.Name = "shop", "preq-many-"+string(rune('a'+n/10))+string(rune('a'+n%10))
		w.create(t, request)
	}
	rs := w.user(t, "rs", ordersAPI)
	w.eventually(t, "the server has seen them", func() bool {
		return len(decode[[]map[string]any](t, w.json(t, http.MethodGet, requests+"?max=1000", rs, ""))) == 50
	})
	w.json(t, http.MethodPost, requests, rs, `{"resource":"`+a.id+`","scope":"edit"}`).
		says(t, "one more", 403, problem("request_denied", "the request is not taken: there are too many, or the resource takes none"))
	w.post(t, "/token", "bearer", rs, ticketForm(w.ticket(t, a.pat, a.id, "edit"), "submit_request", "true")).
		says(t, "one more by a ticket", 403, problem("request_denied", "no policy grants what was asked for"))
	if got := a.asks(t, "edit"); got.text("error") != "request_submitted" {
		t.Errorf("another user: %s", got.body)
	}
}

// TestKeycloaksSpelling shows what is spelled otherwise with --uma-compatibility=keycloak.
func TestKeycloaksSpelling(t *testing.T) {
	w := startUMA(t, func(o *tokenserver.Options) { o.UMAKeycloak = true })
	pat := w.pat(t, "shop", "agent", ordersAPI)
	answer := w.json(t, http.MethodPost, resources, pat, `{"name":"Tweedl","type":"album","owner":{"id":"alice"},"ownerManagedAccess":true,"scopes":[{"name":"view"}],"uris":["/tweedl/*"]}`)
	id := answer.text("_id")
	shown := `{"_id":"` + id + `","name":"Tweedl","owner":{"id":"alice","name":"alice"},"ownerManagedAccess":true,"resource_scopes":[{"name":"view"}],"type":"album","uris":["/tweedl/*"]}`
	answer.says(t, "created", 201, shown)
	w.json(t, http.MethodPut, resources+"/"+id, pat, shown).says(t, "what was read can be written", 204, "")
	w.json(t, http.MethodGet, resources+"/"+id, pat, "").says(t, "and is the same", 200, shown)
	w.json(t, http.MethodGet, resources, w.user(t, "alice", ordersAPI), "").says(t, "a token without the scope", 403, problem("invalid_scope", "the token has not the scope uma_protection"))
	w.json(t, http.MethodGet, resources, "x", "").says(t, "not a token", 401, problem("invalid_grant", "Invalid bearer token"))
	offered := w.json(t, http.MethodPost, requests, w.user(t, "alice", ordersAPI), `{"resource":"`+id+`","requester":"bob","scopeName":"view","granted":true}`)
	if offered.status != http.StatusOK || offered.text("scopeName") != "view" {
		t.Errorf("offered: %d %s", offered.status, offered.body)
	}
	w.json(t, http.MethodPost, permissions, pat, `[{"resource_id":"none"}]`).says(t, "an unknown resource", 400, problem("invalid_resource_id", "the resource is not known at this audience"))
	w.json(t, http.MethodDelete, resources+"/"+id, pat, "").says(t, "deleted", 204, "")
}
