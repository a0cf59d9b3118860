package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver"
)

const (
	ordersAPI = "https://orders.example.com"
	otherAPI  = "https://other.example.com"
	umaGrant  = "urn:ietf:params:oauth:grant-type:uma-ticket"
)

// umaWorld is a control plane with two servers. The audience ordersAPI admits the namespaces shop and shop-b, and otherAPI all;
// ServiceAccounts of shop, shop-b and strangers may protect resources of both, and shop/agent registers for others. Alice may read all
// orders; bob has nothing.
type umaWorld struct {
	*world
	second *world
	config *rest.Config
}

// startUMA runs both servers; change may be nil.
func startUMA(t *testing.T, change func(*tokenserver.Options)) *umaWorld {
	t.Helper()
	plane := startPlane(t, controlplane.Options{})
	config, err := plane.UMAServerConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	options := func(pod string) func(*tokenserver.Options) {
		return func(o *tokenserver.Options) {
			o.UMA, o.PodName = true, pod
			if change != nil {
				change(o)
			}
		}
	}
	w := &umaWorld{world: startOn(t, plane, options("server-0")), config: config}
	w.second = serve(t, plane, w.config, options("server-1"))
	w.second.ready(t)
	for name, labels := range map[string]map[string]string{"shop": {"orders": "yes"}, "shop-b": {"orders": "yes"}, "strangers": nil} {
		if err := plane.CreateNamespace(t.Context(), name, labels); err != nil {
			t.Fatal(err)
		}
	}
	w.addUsers(t, "bob", "rs")
	w.createKey(t, "orders", ordersAPI, newKey(t, v1alpha1.KeyActive))
	w.createKey(t, "other", otherAPI, newKey(t, v1alpha1.KeyActive))
	w.admit(t, "orders", map[string]string{"orders": "yes"})
	for _, p := range umaPolicies() {
		w.create(t, p)
	}
	for _, server := range []*world{w.world, w.second} {
		server.eventually(t, "the server knows all of it", func() bool {
			p := server.post(t, "/token", "bob", "secret", url.Values{"grant_type": {"client_credentials"}, "audience": {ordersAPI}, "scope": {"uma_authorization"}})
			return p.status == http.StatusOK && strings.Contains(server.protector(t, "shop", "probe", ordersAPI).text("scope"), "uma_protection")
		})
	}
	return w
}

func umaPolicies() []*v1alpha1.ClusterAccessPolicy {
	accounts := func(namespace string, names ...string) []v1alpha1.Subject {
		var list []v1alpha1.Subject
		for _, name := range names {
			list = append(list, v1alpha1.Subject{Kind: v1alpha1.SubjectServiceAccount, Namespace: namespace, Name: name})
		}
		return list
	}
	group := func(name string) v1alpha1.Subject { return v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: name} }
	policy := func(name string, subjects []v1alpha1.Subject, typ string, names []v1alpha1.ResourceName, actions ...v1alpha1.Action) *v1alpha1.ClusterAccessPolicy {
		p := &v1alpha1.ClusterAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		p.Spec.Subjects, p.Spec.Rules = subjects, []v1alpha1.Rule{{Type: typ, Names: names, Actions: actions}}
		return p
	}
	servers := []v1alpha1.Subject{
		group("system:serviceaccounts:shop"), group("system:serviceaccounts:shop-b"), group("system:serviceaccounts:strangers"),
		{Kind: v1alpha1.SubjectUser, Name: "rs"},
	}
	return []*v1alpha1.ClusterAccessPolicy{
		policy("protects", servers, v1alpha1.TypeOAuth, []v1alpha1.ResourceName{ordersAPI, otherAPI}, "uma_protection"),
		policy("for-others", accounts("shop", "agent", "agent-2", "agent-3"), v1alpha1.TypeOAuth, []v1alpha1.ResourceName{ordersAPI}, "register_for_others"),
		policy("reads", []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}}, "order", []v1alpha1.ResourceName{"**"}, "read"),
	}
}

// addUsers gives more people the password that alice has.
func (w *world) addUsers(t *testing.T, names ...string) {
	t.Helper()
	var users corev1.Secret
	if err := w.plane.Client.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "users"}, &users); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		users.Data["htpasswd"] = fmt.Appendf(users.Data["htpasswd"], "%s:%s\n", name, hash)
	}
	if err := w.plane.Client.Update(t.Context(), &users); err != nil {
		t.Fatal(err)
	}
}

// admit lets a SigningKey's audiences be spoken of by namespaces with such labels only.
func (w *world) admit(t *testing.T, key string, labels map[string]string) {
	t.Helper()
	var object v1alpha1.SigningKey
	if err := w.plane.Client.Get(t.Context(), client.ObjectKey{Namespace: system, Name: key}, &object); err != nil {
		t.Fatal(err)
	}
	object.Spec.Namespaces = v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: labels}}
	if err := w.plane.Client.Update(t.Context(), &object); err != nil {
		t.Fatal(err)
	}
}

// post sends a form; the user "bearer" sends the password as one.
func (w *world) post(t *testing.T, path, user, password string, form url.Values) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if user == "bearer" {
		request.Header.Set("Authorization", "Bearer "+password)
	} else {
		request.SetBasicAuth(url.QueryEscape(user), url.QueryEscape(password))
	}
	return w.do(t, request)
}

// protector is the answer to a ServiceAccount that asks for its PAT.
func (w *world) protector(t *testing.T, namespace, name, audience string) reply {
	t.Helper()
	account, err := w.plane.ServiceAccountToken(t.Context(), namespace, name, time.Hour, "tokenwright")
	if err != nil {
		t.Fatal(err)
	}
	return w.post(t, "/token", name, account, url.Values{"grant_type": {"client_credentials"}, "audience": {audience}, "scope": {"uma_protection"}})
}

// pat is a token of the protection API of a ServiceAccount.
func (w *world) pat(t *testing.T, namespace, name, audience string) string {
	t.Helper()
	answer := w.protector(t, namespace, name, audience)
	if answer.status != http.StatusOK {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	return answer.text("access_token")
}

// user is an access token that stands for a user.
func (w *world) user(t *testing.T, name, audience string) string {
	t.Helper()
	answer := w.post(t, "/token", name, "secret", url.Values{"grant_type": {"client_credentials"}, "audience": {audience}, "scope": {"uma_authorization"}})
	if answer.status != http.StatusOK {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	return answer.text("access_token")
}

// json sends JSON with a bearer; an empty one is nobody.
func (w *world) json(t *testing.T, method, path, bearer, body string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	return w.do(t, request)
}

// says holds an answer to a status and a body; an empty one is none.
func (r reply) says(t *testing.T, reason string, status int, body string) {
	t.Helper()
	type said struct {
		Status int
		Body   string
	}
	if diff := cmp.Diff(said{status, body}, said{r.status, strings.TrimSpace(string(r.body))}); diff != "" {
		t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
	if got := r.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s: Cache-Control = %q", reason, got)
	}
	challenged := r.status == http.StatusUnauthorized || strings.Contains(body, `"insufficient_scope"`)
	if challenged != (r.header.Get("WWW-Authenticate") != "") {
		t.Errorf("%s: WWW-Authenticate = %q with %d", reason, r.header.Get("WWW-Authenticate"), r.status)
	}
	if r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") == "" {
		t.Errorf("%s: Retry-After is missing", reason)
	}
}

// text is a member of an answer.
func (r reply) text(member string) string {
	var body map[string]any
	if err := json.Unmarshal(r.body, &body); err != nil {
		return ""
	}
	text, _ := body[member].(string)
	return text
}

func problem(code, description string) string {
	return `{"error":"` + code + `","error_description":"` + description + `"}`
}

// register registers a resource and returns its id.
func (w *world) register(t *testing.T, pat, body string) string {
	t.Helper()
	answer := w.json(t, http.MethodPost, "/authz/protection/resource_set", pat, body)
	if answer.status != http.StatusCreated {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	w.claim(t, pat, answer.text("_id"))
	return answer.text("_id")
}

// claim writes down that the uris of a resource are claimed, as the manager would, and waits until the server serves them.
func (w *world) claim(t *testing.T, pat, id string) {
	t.Helper()
	var list v1alpha1.ProtectedResourceList
	if err := w.plane.Client.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		object := &list.Items[i]
		if len(object.Spec.URIs) == 0 || len(object.Status.URIs) > 0 || object.Spec.ID != id && object.Namespace+"/"+object.Name != id {
			continue
		}
		for _, uri := range object.Spec.URIs {
			object.Status.URIs = append(object.Status.URIs, v1alpha1.ClaimedURI{URI: string(uri), Since: v1alpha1.NewDateTime(time.Now())})
		}
		if err := w.plane.Client.Status().Update(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		query := url.Values{"uri": {string(object.Spec.URIs[0])}}
		w.eventually(t, "the uris are served", func() bool {
			return strings.TrimSpace(string(w.json(t, http.MethodGet, "/authz/protection/resource_set?"+query.Encode(), pat, "").body)) == `["`+id+`"]`
		})
	}
}

// object is the ProtectedResource of an id <namespace>/<name>.
func (w *world) object(t *testing.T, id string) *v1alpha1.ProtectedResource {
	t.Helper()
	namespace, name, _ := strings.Cut(id, "/")
	object := &v1alpha1.ProtectedResource{}
	if err := w.plane.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object); err != nil {
		t.Fatal(err)
	}
	return object
}

func decode[T any](t *testing.T, answer reply) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(answer.body, &value); err != nil || answer.status != http.StatusOK {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	return value
}

// auditOf are the lines of the audit log with such outcomes: the outcome, who, and for whom.
func (w *world) auditOf(t *testing.T, outcomes ...string) []string {
	t.Helper()
	log, err := os.ReadFile(w.audit)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(log)) {
		var record struct{ Outcome, Subject, For string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(outcomes, record.Outcome) {
			found = append(found, record.Outcome+" "+record.Subject+" "+record.For)
		}
	}
	return found
}
