package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// short is a limit that a test can wait for, and that a busy machine keeps to: watches of 2 s, a renewal every 1.5 s.
const short = 6 * time.Second

func bounded(podName string) func(*tokenserver.Options) {
	return func(o *tokenserver.Options) { o.MaxStaleness, o.PodName = short, podName }
}

// TestTheFence runs servers against one control plane that can be stopped.
func TestTheFence(t *testing.T) {
	plane, err := controlplane.StartWith(controlplane.Options{CertDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	config, err := plane.ServerConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	t.Run("A server that may not write its Lease is not ready, and says why", func(t *testing.T) {
		w := serve(t, plane, withoutLeases(t, plane), nil)
		w.eventually(t, "the reason is the right to Leases", func() bool {
			got := w.send(t, w.health+"/readyz", nil)
			return got.status == http.StatusServiceUnavailable && strings.Contains(string(got.body), "tokenwright-server-server-0") &&
				strings.Contains(string(got.body), "forbidden")
		})
		if got := w.ask(t, "", "", ""); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("a token was answered with %d", got.status)
		}
	})

	t.Run("Each server has its Lease, and a stop releases it", func(t *testing.T) { leases(t, plane) })

	active := newKey(t, v1alpha1.KeyActive)
	var secret *corev1.Secret
	t.Run("A new key is acknowledged at once", func(t *testing.T) {
		w := serve(t, plane, config, nil)
		w.ready(t)
		began := time.Now()
		secret = w.createKey(t, "registry", service, active)
		w.eventually(t, "the key is acknowledged", func() bool { return slices.Contains(w.acknowledged(t, "server-0"), active.Thumbprint) })
		// The period is 10 s. What is acknowledged is served.
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s", took)
		} else {
			t.Logf("It was acknowledged after %s", took.Round(time.Millisecond))
		}
		if got := w.ask(t, "", "", ""); got.status != http.StatusOK || !strings.Contains(string(w.keys(t).body), active.Thumbprint) {
			t.Errorf("a token is answered with %d, and the keys are %s", got.status, w.keys(t).body)
		}
	})

	t.Run("A watch that hangs stops tokens, though the Lease could be renewed", func(t *testing.T) {
		proxy, err := controlplane.NewProxy(config, "secrets")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(proxy.Close)
		w := serve(t, plane, proxy.Config, bounded("hanging"))
		w.ready(t)
		w.signs(t)
		proxy.Set(controlplane.Hangs)
		if w.refuses(t) == 0 {
			t.Error("tokens were refused at once: the limit is what an outage may last")
		}
		if err := plane.Client.Update(t.Context(), w.lease(t, "hanging")); err != nil {
			t.Errorf("the Lease cannot be written: %v", err)
		}
		if got := w.send(t, w.health+"/readyz", nil); got.status != http.StatusOK {
			t.Errorf("readyz = %d: it serves keys as long as it can", got.status)
		}
		proxy.Set(controlplane.None)
		w.signs(t)
	})

	t.Run("A server that is cut off does not sign past the limit, whatever was revoked", func(t *testing.T) {
		cutOff(t, plane, secret, active)
	})

	t.Run("An API server that is away for too long stops tokens until it is back", func(t *testing.T) {
		w := serve(t, plane, config, bounded("alone"))
		w.ready(t)
		w.signs(t)
		if err := plane.StopAPIServer(); err != nil {
			t.Fatal(err)
		}
		w.refuses(t)
		if err := plane.StartAPIServer(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		w.signs(t)
		t.Logf("It signed again %s after the API server was back", time.Since(began).Round(time.Millisecond))
	})
}

func leases(t *testing.T, plane *controlplane.Plane) {
	config, err := plane.ConfigOf(t.Context(), system, "tokenwright-server")
	if err != nil {
		t.Fatal(err)
	}
	one := serve(t, plane, config, func(o *tokenserver.Options) { o.PodName, o.PodUID = "one", "4cbaf4b8-0000-0000-0000-000000000000" })
	two := serve(t, plane, config, func(o *tokenserver.Options) { o.PodName = "two" })
	one.ready(t)
	two.ready(t)
	var list coordinationv1.LeaseList
	if err := plane.Client.List(t.Context(), &list, client.InNamespace(system), client.MatchingLabels{v1alpha1.LabelServerLease: "true"}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range list.Items {
		names = append(names, l.Name)
		if l.Spec.HolderIdentity == nil || *l.Spec.LeaseDurationSeconds != 3600 || time.Since(l.Spec.RenewTime.Time) > time.Minute {
			t.Errorf("Lease %s: %+v", l.Name, l.Spec)
		}
	}
	if want := []string{"tokenwright-server-one", "tokenwright-server-two"}; !slices.Equal(names, want) {
		t.Errorf("Leases %q, expected %q", names, want)
	}
	if owners := one.lease(t, "one").OwnerReferences; len(owners) != 1 || owners[0].Kind != "Pod" || owners[0].Controller != nil {
		t.Errorf("owners %+v", owners)
	}
	one.stop()
	if l := one.lease(t, "one"); l.Name == "" || l.Spec.HolderIdentity != nil {
		t.Errorf("after a stop in order the Lease is %+v", l)
	}
	if two.lease(t, "two").Spec.HolderIdentity == nil {
		t.Error("the stop of one released the Lease of the other")
	}
}

// cutOff takes the line of one of two servers, and revokes the key that both sign with.
func cutOff(t *testing.T, plane *controlplane.Plane, secret *corev1.Secret, leaked keyring.Key) {
	config, err := plane.ConfigOf(t.Context(), system, "tokenwright-server")
	if err != nil {
		t.Fatal(err)
	}
	attacked, other := serve(t, plane, config, bounded("attacked")), serve(t, plane, config, bounded("other"))
	for _, w := range []*world{attacked, other} {
		w.ready(t)
		if got := w.signs(t); got != leaked.KeyID {
			t.Fatalf("signs with %s", got)
		}
	}
	attacked.line.cut()
	cut := time.Now()
	dead, next := leaked, newKey(t, v1alpha1.KeyActive)
	dead.State, dead.Private, dead.Retired = v1alpha1.KeyRevoked, nil, leaked.Activated
	secret.Data = encode(t, 2, dead, next)
	if err := plane.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	other.eventually(t, "the server that is not cut off signs with the new key", func() bool { return other.signs(t) == next.KeyID })

	signed, last := 0, time.Time{}
	for refused := 0; refused < 100; time.Sleep(10 * time.Millisecond) {
		asked := time.Now()
		got := attacked.ask(t, "", "", "")
		switch got.status {
		case http.StatusOK:
			if signed++; keyOf(t, got) != leaked.KeyID || refused > 0 {
				t.Fatalf("it signs with %s after %d refusals", keyOf(t, got), refused)
			}
			last = asked
		case http.StatusServiceUnavailable:
			refused++
		default:
			t.Fatalf("status %d %s", got.status, got.body)
		}
		if asked.Sub(cut) > time.Minute {
			t.Fatal("a minute after it was cut off it still signs with the revoked key")
		}
	}
	if signed == 0 {
		t.Error("it stopped at once, which shows nothing about the limit")
	}
	// Whatever was confirmed was so before the line was cut.
	if exposed := last.Sub(cut); exposed >= short {
		t.Errorf("the revoked key was used until %s after the cut, and the limit is %s", exposed, short)
	}
	t.Logf("The revoked key was used until %s after the cut; the limit is %s", last.Sub(cut).Round(time.Millisecond), short)

	attacked.line.mend()
	attacked.eventually(t, "it signs with the new key", func() bool {
		got := attacked.ask(t, "", "", "")
		if got.status == http.StatusOK && keyOf(t, got) != next.KeyID {
			t.Fatalf("back again it signs with %s", keyOf(t, got))
		}
		return got.status == http.StatusOK
	})
}

// signs waits until a token comes and all says that tokens do, and returns the kid that signed it.
func (w *world) signs(t *testing.T) string {
	t.Helper()
	var got reply
	w.eventually(t, "a token comes, the keys may be kept, and the metrics say that the fence is open", func() bool {
		got = w.ask(t, "", "", "")
		keys, metrics := w.keys(t), string(w.send(t, w.health+"/metrics", nil).body)
		return got.status == http.StatusOK && strings.HasPrefix(keys.header.Get("Cache-Control"), "public, max-age=300") &&
			strings.Contains(metrics, "\ntokenwright_server_fenced 0\n") && strings.Contains(metrics, "\ntokenwright_server_view_age_seconds ")
	})
	return keyOf(t, got)
}

// refuses waits until no token comes any more, and looks at what still does. It returns how many came before.
func (w *world) refuses(t *testing.T) (signed int) {
	t.Helper()
	var got reply
	began := time.Now()
	w.eventually(t, "tokens are refused", func() bool {
		got = w.ask(t, "", "", "")
		if got.status == http.StatusOK {
			signed++
		}
		return got.status == http.StatusServiceUnavailable
	})
	t.Logf("Tokens were refused %s after the fault began, %d had come", time.Since(began).Round(time.Millisecond), signed)
	if got.header.Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
	keys := w.keys(t)
	if cache := keys.header.Get("Cache-Control"); keys.status != http.StatusOK || cache != "no-store" || !strings.Contains(string(keys.body), `"kid"`) {
		t.Errorf("the keys: %d, Cache-Control %q, %s", keys.status, cache, keys.body)
	}
	w.eventually(t, "the metrics say that the fence is closed, and that renewals fail", func() bool {
		metrics := string(w.send(t, w.health+"/metrics", nil).body)
		return strings.Contains(metrics, "\ntokenwright_server_fenced 1\n") &&
			!strings.Contains(metrics, "\ntokenwright_server_lease_renewal_failures_total 0\n")
	})
	return signed
}

func (w *world) keys(t *testing.T) reply {
	t.Helper()
	return w.send(t, w.url+"/.well-known/jwks.json", nil)
}

// keyOf is the kid of an answer's token.
func keyOf(t *testing.T, answer reply) string {
	t.Helper()
	var fields struct {
		Token string `json:"token"`
	}
	err := json.Unmarshal(answer.body, &fields)
	jws, parseErr := jose.ParseSignedCompact(fields.Token, []jose.SignatureAlgorithm{jose.ES256})
	if err := errors.Join(err, parseErr); err != nil {
		t.Fatal(err)
	}
	return jws.Signatures[0].Header.KeyID
}
