package server

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
)

// TestRefreshTokens has two servers, under the rights of their ServiceAccount, and one of them loses the API server.
func TestRefreshTokens(t *testing.T) {
	first := start(t)
	config, err := first.plane.ServerConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second := serve(t, first.plane, config, func(o *tokenserver.Options) { o.PodName = "server-1" })
	second.ready(t)
	first.allowRefresh(t)
	first.eventually(t, "refresh tokens are issued", func() bool { return first.login(t).refresh != "" })
	both := []*world{first, second}

	t.Run("Another server takes it at once, and says when it was used", func(t *testing.T) {
		token := first.login(t).refresh
		answer := second.refresh(t, token)
		if answer.status != http.StatusOK || answer.refresh != token {
			t.Fatalf("status %d: %s", answer.status, answer.body)
		}
		if got := second.claims(t, answer.reply); got.Subject != "alice" || len(got.Access) != 1 {
			t.Errorf("claims = %+v", got)
		}
		first.eventually(t, "the record says when it was used", func() bool { return first.record(t, token).Status.LastUsed != "" })
	})
	t.Run("As the password of an identity token", func(t *testing.T) {
		token := first.login(t).refresh
		for _, user := range []string{"<token>", ""} {
			answer := second.send(t, second.url+"/token?service="+service+"&scope=repository:team-a/app:pull", func(r *http.Request) { r.SetBasicAuth(user, token) })
			if got := second.claims(t, answer); got.Subject != "alice" {
				t.Errorf("as %q: %+v", user, got)
			}
		}
	})
	t.Run("A revocation reaches every server", func(t *testing.T) { revocationDelay(t, first, second) })
	t.Run("A deleted record ends it", func(t *testing.T) {
		token := first.login(t).refresh
		if err := first.plane.Client.Delete(t.Context(), first.record(t, token)); err != nil {
			t.Fatal(err)
		}
		for _, w := range both {
			w.eventually(t, "it is refused", func() bool { return w.refresh(t, token).status == http.StatusUnauthorized })
		}
	})
	t.Run("While the API server is away", func(t *testing.T) { refreshDuringOutage(t, first, second) })
	t.Run("A user has at most 20 of one client, and the newest is one of them", func(t *testing.T) {
		var tokens []string
		for range 25 {
			tokens = append(tokens, first.login(t).refresh)
		}
		for _, w := range both {
			w.eventually(t, "twenty are taken", func() bool {
				taken := 0
				for _, token := range tokens {
					if w.refresh(t, token).status == http.StatusOK {
						taken++
					}
				}
				return taken == 20
			})
			if got := w.refresh(t, tokens[len(tokens)-1]); got.status != http.StatusOK {
				t.Errorf("the newest: status %d", got.status)
			}
		}
	})
	t.Run("A changed password ends it", func(t *testing.T) {
		token := first.login(t).refresh
		var users corev1.Secret
		if err := first.plane.Client.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "users"}, &users); err != nil {
			t.Fatal(err)
		}
		// The same password with another salt: whoever sets a password anew wants the old logins gone.
		users.Data["htpasswd"] = []byte("alice:$2y$04$" + strings.Repeat("a", 53) + "\n")
		if err := first.plane.Client.Update(t.Context(), &users); err != nil {
			t.Fatal(err)
		}
		for _, w := range both {
			w.eventually(t, "it is refused", func() bool { return w.refresh(t, token).status == http.StatusUnauthorized })
		}
	})
	for _, w := range both {
		w.holdsNoSecret(t)
	}
}

// allowRefresh makes the Secret that the manager would make, and lets alice have refresh tokens.
func (w *world) allowRefresh(t *testing.T) {
	t.Helper()
	keys, err := opaque.Generate(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: opaque.SecretName, Labels: map[string]string{v1alpha1.LabelWatch: "true"}},
		Type:       opaque.SecretType, Data: keys.Encode(),
	})
	policy := &v1alpha1.ClusterAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "alice"}}
	policy.Spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}}
	policy.Spec.Rules = []v1alpha1.Rule{{Type: v1alpha1.TypeRepository, Names: []v1alpha1.ResourceName{"team-a/**"}, Actions: []v1alpha1.Action{"pull"}}}
	policy.Spec.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "48h"}
	w.create(t, policy)
}

// answered is a reply and the refresh token in it.
type answered struct {
	reply
	refresh string
}

func answeredBy(t *testing.T, r reply) answered {
	t.Helper()
	var fields struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(r.body, &fields); err != nil {
		t.Fatal(err)
	}
	return answered{r, fields.Refresh}
}

// login is docker login.
func (w *world) login(t *testing.T) answered {
	t.Helper()
	return answeredBy(t, w.get(t, "alice", "secret", url.Values{"service": {service}, "offline_token": {"true"}, "client_id": {"docker"}}))
}

// refresh is what docker and containerd send.
func (w *world) refresh(t *testing.T, token string) answered {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "service": {service}, "refresh_token": {token}, "scope": {"repository:team-a/app:pull"}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return answeredBy(t, w.do(t, request))
}

// record is the object that the token stands for.
func (w *world) record(t *testing.T, token string) *v1alpha1.IssuedToken {
	t.Helper()
	var list v1alpha1.IssuedTokenList
	if err := w.plane.Client.List(t.Context(), &list, client.InNamespace(system)); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		if strings.HasPrefix(token, "twr_"+list.Items[i].Spec.ID+".") {
			return &list.Items[i]
		}
	}
	t.Fatal("the token has no record")
	return nil
}

// revocationDelay measures, with no more than one caller may revoke at once, how long it takes from the answer of the server that stored a revocation until the other refuses.
func revocationDelay(t *testing.T, stores, hears *world) {
	var delays []time.Duration
	for range 25 {
		token := stores.login(t).refresh
		if got := hears.refresh(t, token); got.status != http.StatusOK {
			t.Fatalf("status %d: %s", got.status, got.body)
		}
		stores.revoke(t, token)
		began := time.Now()
		if got := stores.refresh(t, token); got.status != http.StatusUnauthorized {
			t.Fatalf("the server that stored it: status %d", got.status)
		}
		hears.eventually(t, "it is refused", func() bool { return hears.refresh(t, token).status == http.StatusUnauthorized })
		delays = append(delays, time.Since(began))
	}
	slices.Sort(delays)
	t.Logf("A revocation reached the other server after %s at the median, %s at p99, of %d", delays[len(delays)/2], delays[len(delays)*99/100], len(delays))
	if longest := delays[len(delays)-1]; longest > 5*time.Second {
		t.Errorf("one took %s", longest)
	}
}

// revoke takes the token back, as alice (RFC 7009).
func (w *world) revoke(t *testing.T, token string) {
	t.Helper()
	if got := w.revocation(t, token); got.status != http.StatusOK {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
}

// refreshDuringOutage cuts one server off: it still gives access tokens for passwords, and neither gives nor takes refresh
// tokens, because it would not hear of their revocation. Afterwards nothing is lost or there twice.
func refreshDuringOutage(t *testing.T, cut, other *world) {
	token := cut.login(t).refresh
	before := cut.records(t)
	cut.line.cut()
	cut.eventually(t, "the server has noticed", func() bool { return cut.refresh(t, token).status == http.StatusServiceUnavailable })
	for what, got := range map[string]answered{"login": cut.login(t), "refresh": cut.refresh(t, token)} {
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || got.refresh != "" {
			t.Errorf("%s: status %d, Retry-After %q", what, got.status, got.header.Get("Retry-After"))
		}
	}
	cut.wants(t, "alice", "secret", "repository:team-a/app:pull", []string{"repository:team-a/app:pull"})
	if got := other.refresh(t, token); got.status != http.StatusOK {
		t.Errorf("the other server: status %d", got.status)
	}
	cut.line.mend()
	cut.eventually(t, "it is taken again", func() bool { return cut.refresh(t, token).status == http.StatusOK })
	if got := cut.records(t); got != before {
		t.Errorf("%d records, %d before", got, before)
	}
}

// records is how many there are.
func (w *world) records(t *testing.T) int {
	t.Helper()
	var list v1alpha1.IssuedTokenList
	if err := w.plane.Client.List(t.Context(), &list, client.InNamespace(system)); err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}
