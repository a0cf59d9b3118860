package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

const resources = "/authz/protection/resource_set"

// TestRegistration goes through the protection API as a resource server does, on two servers with their own rights.
func TestRegistration(t *testing.T) {
	w := startUMA(t, nil)
	t.Run("A resource comes, changes and goes", w.lifeOfAResource)
	t.Run("What is refused", w.badRegistrations)
	t.Run("What kubectl owns is read-only", w.declared)
	t.Run("A tenant takes nothing of another", w.tenants)
	t.Run("Nobody takes what is another's", w.taken)
	t.Run("Lists", w.lists)
	t.Run("While the API server is away", w.registrationDuringOutage)
	w.holdsNoSecret(t)
}

func (w *umaWorld) lifeOfAResource(t *testing.T) {
	pat := w.pat(t, "shop", "rs", ordersAPI)
	const body = `{"name":"Order 7","type":"order","icon_uri":"https://orders.example.com/i.png","resource_scopes":["read","write"],"uris":["/orders/7"],"attributes":{"size":["big","red"]}}`
	answer := w.json(t, http.MethodPost, resources, pat, body)
	id := answer.text("_id")
	const shown = `{"_id":"%s","attributes":{"size":["big","red"]},"icon_uri":"https://orders.example.com/i.png","name":"Order 7","owner":"system:serviceaccount:shop:rs","ownerManagedAccess":false,"resource_scopes":["read","write"],"type":"order","uris":["/orders/7"]}`
	answer.says(t, "created", 201, fmt.Sprintf(shown, id))
	if got, want := answer.header.Get("Location"), "https://auth.example.com"+resources+"/"+url.PathEscape(id); got != want {
		t.Errorf("Location = %q, want %q", got, want)
	}
	namespace, name, _ := strings.Cut(id, "/")
	if namespace != "shop" || !strings.HasPrefix(name, "order-7-") {
		t.Errorf("the id is %s", id)
	}
	object := w.object(t, id)
	want := v1alpha1.ProtectedResourceSpec{
		DisplayName: "Order 7", Type: "order", URIs: []v1alpha1.ResourceURI{"/orders/7"}, Scopes: []v1alpha1.ResourceScope{"read", "write"},
		Owner: "system:serviceaccount:shop:rs", OwnerManagedAccess: v1alpha1.Forbidden, Audience: ordersAPI,
		Attributes: []v1alpha1.ResourceAttribute{{Key: "size", Values: []string{"big", "red"}}, {Key: "icon_uri", Values: []string{"https://orders.example.com/i.png"}}},
	}
	if diff := cmp.Diff(want, object.Spec, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if got := object.Labels[v1alpha1.LabelRegisteredBy]; got != "rs" {
		t.Errorf("registered by %q", got)
	}
	w.json(t, http.MethodPost, resources, pat, body).says(t, "the same once more, as after an answer that was lost", 201, fmt.Sprintf(shown, id))
	w.json(t, http.MethodPost, resources, pat, strings.Replace(body, "write", "burn", 1)).
		says(t, "something else by the name", 409, problem("conflict", "another resource was registered by the name"))
	w.json(t, http.MethodGet, resources+"/"+id, pat, "").says(t, "with a slash", 200, fmt.Sprintf(shown, id))
	w.json(t, http.MethodGet, resources+"/"+url.PathEscape(id)+"/", pat, "").says(t, "with an escaped one, and one at the end", 200, fmt.Sprintf(shown, id))

	changed := `{"_id":"` + id + `","name":"Order 7","resource_scopes":["read"],"scopes":null}`
	w.second.eventually(t, "the other server has seen it", func() bool {
		return w.second.json(t, http.MethodGet, resources+"/"+id, pat, "").status == http.StatusOK
	})
	w.second.json(t, http.MethodPut, resources+"/"+url.PathEscape(id), pat, changed).says(t, "changed on the other server", 200, `{"_id":"`+id+`"}`)
	w.second.json(t, http.MethodGet, resources+"/"+id, pat, "").says(t, "it goes by its own write", 200,
		`{"_id":"`+id+`","name":"Order 7","owner":"system:serviceaccount:shop:rs","ownerManagedAccess":false,"resource_scopes":["read"],"type":"resource","uris":[]}`)
	w.second.json(t, http.MethodDelete, resources+"/"+id, pat, "").says(t, "deleted", 204, "")
	w.second.json(t, http.MethodGet, resources+"/"+id, pat, "").says(t, "gone at once", 404, problem("not_found", "there is nothing here"))
	w.second.json(t, http.MethodDelete, resources+"/"+id, pat, "").says(t, "there is nothing any more", 404, problem("not_found", "there is nothing here"))
}

func (w *umaWorld) badRegistrations(t *testing.T) {
	pats := map[string]string{
		"rs": w.pat(t, "shop", "bad", ordersAPI), "agent": w.pat(t, "shop", "agent", ordersAPI), "stranger": w.pat(t, "strangers", "rs", ordersAPI),
		"alice":  w.user(t, "alice", ordersAPI),
		"person": w.post(t, "/token", "rs", "secret", url.Values{"grant_type": {"client_credentials"}, "audience": {ordersAPI}, "scope": {"uma_protection"}}).text("access_token"),
	}
	id := w.register(t, pats["agent"], `{"name":"Known","resource_scopes":["view"],"owner":"alice","ownerManagedAccess":true}`)
	own := w.register(t, pats["rs"], `{"name":"Own","resource_scopes":["view"]}`)
	var scopes []string
	for n := range 10_000 {
		scopes = append(scopes, fmt.Sprintf(`"%c%c%c"`, 'a'+n/26/26, 'a'+n/26%26, 'a'+n%26))
	}
	for name, tc := range map[string]struct {
		reason, method, path, who, body string
		status                          int
		want                            string
	}{
		"No token":                     {"", "GET", "", "", "", 401, problem("invalid_token", "a bearer token is missing")},
		"Not a token":                  {"", "GET", "", "x", "", 401, problem("invalid_token", "the token was not accepted")},
		"A token without the scope":    {"it stands for alice and for no resource server", "GET", "", "alice", "", 403, problem("insufficient_scope", "the token has not the scope uma_protection")},
		"A caller without a namespace": {"", "POST", "", "person", `{"name":"x","resource_scopes":["view"]}`, 403, problem("access_denied", "only a ServiceAccount registers resources: they are objects in its namespace")},
		"A namespace that is not admitted": {"a tenant claims another's audience", "POST", "", "stranger", `{"name":"x","resource_scopes":["view"]}`, 403,
			problem("access_denied", "the audience does not admit the namespace of the caller")},
		"Another owner":                 {"", "POST", "", "rs", `{"name":"x","owner":"alice","resource_scopes":["view"]}`, 403, problem("access_denied", "the owner is not the caller, who has not the action register_for_others")},
		"Another owner, as Keycloak":    {"", "POST", "", "rs", `{"name":"x","owner":{"id":"alice"},"resource_scopes":["view"]}`, 403, problem("access_denied", "the owner is not the caller, who has not the action register_for_others")},
		"Another owner later":           {"", "PUT", "/" + own, "rs", `{"name":"Own","owner":"alice","resource_scopes":["view"]}`, 403, problem("access_denied", "the owner is not the caller, who has not the action register_for_others")},
		"What belongs to another":       {"", "PUT", "/" + id, "rs", `{"name":"Known","resource_scopes":["view","burn"]}`, 403, problem("access_denied", "the owner is not the caller, who has not the action register_for_others")},
		"An owner with two names":       {"", "POST", "", "rs", `{"name":"x","owner":{"id":"alice","name":"bob"},"resource_scopes":["view"]}`, 400, problem("invalid_request", "the body is not JSON of the form that is expected here")},
		"Nobody's owner":                {"", "POST", "", "agent", `{"name":"x","owner":"system:admin","resource_scopes":["view"]}`, 400, problem("invalid_request", "owner: must be somebody: of the names with system: only those of ServiceAccounts, system:serviceaccount:<namespace>:<name>")},
		"An id against the path":        {"", "PUT", "/" + own, "rs", `{"_id":"` + id + `","name":"Own","resource_scopes":["view"]}`, 400, problem("invalid_request", "_id is another than that of the path")},
		"An unknown id":                 {"", "PUT", "/shop/none", "rs", `{"name":"x","resource_scopes":["view"]}`, 404, problem("not_found", "there is nothing here")},
		"An unknown id, deleted":        {"", "DELETE", "/none", "rs", "", 404, problem("not_found", "there is nothing here")},
		"An id with two slashes":        {"", "DELETE", "/shop/a/b", "rs", "", 404, problem("not_found", "there is nothing here")},
		"Attributes of 9 KiB":           {"", "POST", "", "rs", `{"name":"x","resource_scopes":["view"],"attributes":{"a":["` + strings.Repeat("x", 1000) + strings.Repeat(`","`+strings.Repeat("x", 1000), 8) + `"]}}`, 400, problem("invalid_request", "attributes, displayName, description and icon_uri have more than 8 KiB")},
		"No name":                       {"", "POST", "", "rs", `{"resource_scopes":["view"]}`, 400, problem("invalid_request", "name is missing")},
		"No scopes":                     {"", "POST", "", "rs", `{"name":"x"}`, 400, problem("invalid_request", "resource_scopes: must be 1 to 64")},
		"10,000 scopes":                 {"", "POST", "", "rs", `{"name":"x","resource_scopes":[` + strings.Join(scopes, ",") + `]}`, 400, problem("invalid_request", "resource_scopes: must be 1 to 64")},
		"10,000 longer scopes":          {"", "POST", "", "rs", `{"name":"x","resource_scopes":[` + strings.ReplaceAll(strings.Join(scopes, ","), `",`, `zz",`) + `]}`, 413, problem("invalid_request", "the body is larger than 64 KiB")},
		"A scope twice":                 {"", "POST", "", "rs", `{"name":"x","resource_scopes":["view","view"]}`, 400, problem("invalid_request", "resource_scopes[1]: must not be given twice")},
		"A scope that is all":           {"", "POST", "", "rs", `{"name":"x","resource_scopes":["*"]}`, 400, problem("invalid_request", "resource_scopes[0]: must not be *: a resource names its scopes")},
		"Scopes in two ways":            {"", "POST", "", "rs", `{"name":"x","resource_scopes":["view"],"scopes":["burn"]}`, 400, problem("invalid_request", "resource_scopes and scopes cannot be given together")},
		"A type of our own":             {"", "POST", "", "rs", `{"name":"x","type":"repository","resource_scopes":["pull"]}`, 400, problem("invalid_request", "type: must not be repository: that has a meaning of its own")},
		"A path that climbs":            {"", "POST", "", "rs", `{"name":"x","uris":["/a/../b"],"resource_scopes":["view"]}`, 400, problem("invalid_request", "uris[0]: must not have . or .. as a segment: no path that was cleaned has one")},
		"An id with a slash":            {"only an id that is not given has one", "POST", "", "rs", `{"_id":"shop-b/x","name":"x","resource_scopes":["view"]}`, 400, problem("invalid_request", "_id: must not have a slash: only an id that is not given has one")},
		"A member twice":                {"each reader would take another", "POST", "", "rs", `{"name":"x","name":"y","resource_scopes":["view"]}`, 400, problem("invalid_request", "the body is not JSON of the form that is expected here")},
		"Scopes of another type":        {"", "POST", "", "rs", `{"name":"x","resource_scopes":"view"}`, 400, problem("invalid_request", "the body is not JSON of the form that is expected here")},
		"A number for a name":           {"", "POST", "", "rs", `{"name":7,"resource_scopes":["view"]}`, 400, problem("invalid_request", "the body is not JSON of the form that is expected here")},
		"Two bodies":                    {"", "POST", "", "rs", `{"name":"x","resource_scopes":["view"]}{}`, 400, problem("invalid_request", "the body must be one JSON value")},
		"Nothing":                       {"", "POST", "", "rs", ``, 400, problem("invalid_request", "the body is not JSON of the form that is expected here")},
		"An attribute that is a member": {"", "POST", "", "rs", `{"name":"x","attributes":{"icon_uri":["y"]},"resource_scopes":["view"]}`, 400, problem("invalid_request", "attributes must not have icon_uri: it is a member of its own")},
		"Another method":                {"", "PATCH", "", "rs", ``, 405, problem("unsupported_method_type", "the method is not allowed here")},
		"Another method at one":         {"", "POST", "/" + id, "rs", `{}`, 405, problem("unsupported_method_type", "the method is not allowed here")},
		"A path that is not clean":      {"", "GET", "/shop/../x", "rs", "", 404, problem("not_found", "there is nothing here")},
	} {
		t.Run(name, func(t *testing.T) {
			pat, known := pats[tc.who]
			if !known {
				pat = tc.who
			}
			w.json(t, tc.method, resources+tc.path, pat, tc.body).says(t, tc.reason, tc.status, tc.want)
		})
	}
	if object := w.object(t, id); len(object.Spec.Scopes) != 1 || object.Spec.Owner != "alice" {
		t.Errorf("it was changed: %+v", object.Spec)
	}
}

// declared is what somebody applies with kubectl.
func (w *umaWorld) declared(t *testing.T) {
	pat := w.pat(t, "shop", "declared", ordersAPI)
	apply := func(manager, name string, spec map[string]any, labels map[string]any) {
		t.Helper()
		object := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"labels": labels}}}
		if spec != nil {
			object.Object["spec"] = spec
		}
		object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ProtectedResource"))
		object.SetNamespace("shop")
		object.SetName(name)
		if err := w.plane.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(manager), client.ForceOwnership); err != nil {
			t.Fatal(err)
		}
	}
	apply("kubectl", "fixed", map[string]any{"audience": ordersAPI, "owner": "system:serviceaccount:shop:declared", "scopes": []any{"view"}, "displayName": "Fixed"}, nil)
	w.eventually(t, "it is served", func() bool { return w.json(t, http.MethodGet, resources+"/shop/fixed", pat, "").status == 200 })
	owned := problem("conflict", "the resource is declared with kubectl or from Git, and is changed there: the field manager kubectl wrote its spec")
	w.json(t, http.MethodPut, resources+"/shop/fixed", pat, `{"name":"Fixed","resource_scopes":["view","edit"]}`).says(t, "kubectl would undo it", 409, owned)
	w.json(t, http.MethodDelete, resources+"/shop/fixed", pat, "").says(t, "kubectl would bring it back", 409, owned)
	w.json(t, http.MethodPost, resources, pat, `{"name":"Fixed","resource_scopes":["view"]}`).says(t, "its name is taken", 409, problem("conflict", "the owner has another resource of the name"))
	if got := w.object(t, "shop/fixed").Spec.Scopes; len(got) != 1 {
		t.Errorf("scopes = %v", got)
	}

	id := w.register(t, pat, `{"name":"Ours","resource_scopes":["view"]}`)
	apply("kubectl-label", strings.TrimPrefix(id, "shop/"), nil, map[string]any{"team": "red"})
	w.json(t, http.MethodPut, resources+"/"+id, pat, `{"name":"Ours","resource_scopes":["view","edit"]}`).says(t, "a label is no claim", 200, `{"_id":"`+id+`"}`)
	w.json(t, http.MethodPut, resources+"/"+id, pat, `{"name":"Theirs","resource_scopes":["view"]}`).
		says(t, "clients ask by the name", 409, problem("conflict", "name never changes, as clients ask by it: register another resource"))
	if object := w.object(t, id); object.Labels["team"] != "red" || len(object.Spec.Scopes) != 2 {
		t.Errorf("labels %v, scopes %v", object.Labels, object.Spec.Scopes)
	}
	apply("argocd", strings.TrimPrefix(id, "shop/"), map[string]any{"audience": ordersAPI, "scopes": []any{"view", "edit"}, "displayName": "Ours"}, nil)
	w.json(t, http.MethodPut, resources+"/"+id, pat, `{"name":"Ours","resource_scopes":["view"]}`).
		says(t, "Git has it from now on", 409, strings.Replace(owned, "kubectl wrote", "argocd wrote", 1))
}

// tenants are two namespaces at one audience, and one that knows another audience only.
func (w *umaWorld) tenants(t *testing.T) {
	a, b := w.pat(t, "shop", "tenant", ordersAPI), w.pat(t, "shop-b", "tenant", ordersAPI)
	elsewhere := w.pat(t, "shop-b", "tenant", otherAPI)
	id := w.register(t, a, `{"_id":"mine","name":"Mine","resource_scopes":["view"],"uris":["/mine/{id}"]}`)
	if id != "mine" {
		t.Errorf("the id is %s", id)
	}
	w.json(t, http.MethodPost, resources, b, `{"_id":"mine","name":"Mine","resource_scopes":["view"]}`).says(t, "its id", 409, problem("conflict", "_id is another resource's"))
	w.json(t, http.MethodPost, resources, b, `{"name":"Mine","resource_scopes":["view"],"uris":["/b","/mine/{other}"]}`).says(t, "its uri by another placeholder", 409, problem("conflict", "uris[1] is another resource's"))
	own := w.register(t, b, `{"name":"Mine","resource_scopes":["view"]}`)
	for filter, want := range map[string]string{"": "mine", "&owner=system:serviceaccount:shop-b:tenant": own} {
		w.eventually(t, "it is listed", func() bool { return w.json(t, http.MethodGet, resources+"/"+own, b, "").status == 200 })
		w.json(t, http.MethodGet, resources+"?name=Mine&exactName=true"+filter, a, "").says(t, "a name is the oldest one's", 200, `["`+want+`"]`)
	}
	w.json(t, http.MethodPut, resources+"/"+own, b, `{"name":"Mine","resource_scopes":["view"],"uris":["/mine/{id}"]}`).says(t, "its uri, later", 409, problem("conflict", "uris[0] is another resource's"))
	foreign := problem("access_denied", "the resource is of another namespace than the caller")
	w.json(t, http.MethodPut, resources+"/mine", b, `{"name":"Mine","resource_scopes":["burn"]}`).says(t, "to change it", 403, foreign)
	w.json(t, http.MethodDelete, resources+"/mine", b, "").says(t, "to delete it", 403, foreign)
	none := problem("not_found", "there is nothing here")
	w.json(t, http.MethodGet, resources+"/mine", elsewhere, "").says(t, "from another audience it is not there", 404, none)
	w.json(t, http.MethodGet, resources+"/"+own, elsewhere, "").says(t, "nor is what the same ServiceAccount has at this one", 404, none)
	w.json(t, http.MethodDelete, resources+"/"+own, elsewhere, "").says(t, "nor can it be deleted from there", 404, none)
	w.json(t, http.MethodGet, resources, elsewhere, "").says(t, "nor is it listed", 200, "[]")
	w.json(t, http.MethodPost, "/authz/protection/permission", elsewhere, `{"resource_id":"mine","resource_scopes":["view"]}`).
		says(t, "nor is there a ticket for it", 400, problem("invalid_resource_id", "the resource is not known at this audience"))

	revoked := w.pat(t, "shop", "tenant", ordersAPI)
	account, err := w.plane.ServiceAccountToken(t.Context(), "shop", "tenant", time.Hour, "tokenwright")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.post(t, "/revoke", "tenant", account, url.Values{"token": {revoked}}); got.status != http.StatusOK {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	w.json(t, http.MethodGet, resources, revoked, "").says(t, "a revoked PAT", 401, problem("invalid_token", "the token was not accepted"))
	if err := w.plane.Client.Delete(t.Context(), &v1alpha1.ClusterAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "protects"}}); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, "the policy is gone", func() bool { return w.json(t, http.MethodGet, resources, a, "").status != 200 })
	w.json(t, http.MethodGet, resources, a, "").says(t, "policy is asked at each use", 403, problem("insufficient_scope", "no policy lets the caller protect resources of this audience"))
	w.create(t, umaPolicies()[0])
	w.eventually(t, "the policy is back", func() bool { return w.json(t, http.MethodGet, resources, a, "").status == 200 })
}

// taken is an attack: who may not register for others takes a resource from its owner, or takes it away.
func (w *umaWorld) taken(t *testing.T) {
	agent, mallory := w.pat(t, "shop", "agent-2", ordersAPI), w.pat(t, "shop", "mallory", ordersAPI)
	id := w.register(t, agent, `{"name":"Alices","resource_scopes":["view"],"owner":"alice","ownerManagedAccess":true}`)
	others := problem("access_denied", "the owner is not the caller, who has not the action register_for_others")
	body := `{"name":"Alices","resource_scopes":["view","burn"],"owner":"system:serviceaccount:shop:mallory","ownerManagedAccess":true}`
	w.json(t, http.MethodPut, resources+"/"+id, mallory, body).says(t, "takes it", 403, others)
	w.json(t, http.MethodDelete, resources+"/"+id, mallory, "").says(t, "deletes it", 403, others)
	if spec := w.object(t, id).Spec; spec.Owner != "alice" || len(spec.Scopes) != 1 {
		t.Errorf("it was changed: %+v", spec)
	}
	own := w.register(t, mallory, `{"name":"Own","resource_scopes":["view"]}`)
	w.json(t, http.MethodDelete, resources+"/"+own, mallory, "").says(t, "the own one", 204, "")
}

func (w *umaWorld) lists(t *testing.T) {
	pat := w.pat(t, "strangers", "lists", otherAPI)
	one := w.register(t, pat, `{"name":"Alpha","type":"book","resource_scopes":["read"],"uris":["/books/{id}"]}`)
	two := w.register(t, pat, `{"name":"Alphabet","type":"book","resource_scopes":["read","print"]}`)
	three := w.register(t, pat, `{"name":"Beta","resource_scopes":["print"]}`)
	ids := func(list ...string) string {
		if len(list) == 0 {
			return "[]"
		}
		return `["` + strings.Join(list, `","`) + `"]`
	}
	bad := func(text string) string { return problem("invalid_request", text) }
	for query, tc := range map[string]struct {
		status int
		want   string
	}{
		"":                               {200, ids(one, two, three)},
		"?first=1&max=1":                 {200, ids(two)},
		"?first=9":                       {200, ids()},
		"?name=ALPHA":                    {200, ids(one, two)},
		"?name=Alpha&exactName=true":     {200, ids(one)},
		"?type=book&scope=print":         {200, ids(two)},
		"?scope=print":                   {200, ids(two, three)},
		"?uri=/books/{x}":                {200, ids(one)},
		"?uri=/books/7":                  {200, ids()},
		"?uri=/books/7&matchingUri=true": {200, ids(one)},
		"?uri=/books/{x}&scope=print":    {200, ids()},
		"?_id=" + two:                    {200, ids(two)},
		"?_id=" + two + "&type=x":        {200, ids()},
		"?owner=system:serviceaccount:strangers:lists": {200, ids(one, two, three)},
		"?owner=alice":         {200, ids()},
		"?name=Beta&deep=true": {200, `[{"_id":"` + three + `","name":"Beta","owner":"system:serviceaccount:strangers:lists","ownerManagedAccess":false,"resource_scopes":["print"],"type":"resource","uris":[]}]`},
		"?max=0":               {400, bad("max must be a number from 1 to 1000")},
		"?max=1001":            {400, bad("max must be a number from 1 to 1000")},
		"?first=-1":            {400, bad("first must be a number from 0 to 1000000")},
		"?first=x":             {400, bad("first must be a number from 0 to 1000000")},
		"?deep=perhaps":        {400, bad("deep must be true or false")},
		"?name=a&name=b":       {400, bad("name must not be given more than once")},
		"?name=%zz":            {400, bad("the query is malformed")},
	} {
		t.Run(query, func(t *testing.T) {
			w.json(t, http.MethodGet, resources+query, pat, "").says(t, query, tc.status, tc.want)
		})
	}
}

func (w *umaWorld) registrationDuringOutage(t *testing.T) {
	pat := w.pat(t, "shop", "outage", ordersAPI)
	const body = `{"name":"Outage","resource_scopes":["view"]}`
	w.line.cut()
	w.json(t, http.MethodPost, resources, pat, body).says(t, "nothing is stored", 503, problem("temporarily_unavailable", "it cannot be stored at present"))
	w.line.mend()
	w.eventually(t, "it is stored", func() bool { return w.json(t, http.MethodPost, resources, pat, body).status == http.StatusCreated })
}
