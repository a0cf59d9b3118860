package tokenserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const prefixedIssuer = "https://auth.example.com/auth"

func prefixed(options *Options, _ *Parts, _ *snapshot.Input) {
	options.Issuer, options.PathPrefix = prefixedIssuer, "/auth"
}

// document gets metadata.
func (r *running) document(t testing.TB, path string) (map[string]any, http.Header) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer := r.do(t, request)
	if answer.status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, answer.status, answer.body)
	}
	return fields(t, answer.body), answer.header
}

func TestMetadata(t *testing.T) {
	w := startOAuth(t, prefixed)
	want := map[string]any{
		"issuer":                                        prefixedIssuer,
		"jwks_uri":                                      prefixedIssuer + "/.well-known/jwks.json",
		"token_endpoint":                                prefixedIssuer + "/token",
		"introspection_endpoint":                        prefixedIssuer + "/introspect",
		"revocation_endpoint":                           prefixedIssuer + "/revoke",
		"status_list_aggregation_endpoint":              prefixedIssuer + "/statuslists",
		"grant_types_supported":                         []any{"password", "refresh_token", "client_credentials", exchangeGrant},
		"response_types_supported":                      []any{},
		"subject_types_supported":                       []any{"public"},
		"id_token_signing_alg_values_supported":         []any{"ES256"},
		"token_endpoint_auth_methods_supported":         []any{"none", "client_secret_basic"},
		"introspection_endpoint_auth_methods_supported": []any{"client_secret_basic", "Bearer"},
		"revocation_endpoint_auth_methods_supported":    []any{"client_secret_basic", "Bearer"},
	}
	const oauth, openID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	for _, path := range []string{
		oauth, oauth + "/auth", "/auth" + oauth, oauth + "/", "/auth" + oauth + "/",
		openID, openID + "/auth", "/auth" + openID, openID + "/", "/auth" + openID + "/",
	} {
		got, header := w.document(t, path)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if got := header.Get("Cache-Control"); got != "public, max-age=300, must-revalidate" {
			t.Errorf("%s: Cache-Control = %q", path, got)
		}
	}
}

// TestWhatMetadataNamesIsServed goes to each endpoint and tries each grant that the document names.
func TestWhatMetadataNamesIsServed(t *testing.T) {
	w := startOAuth(t, prefixed)
	document, _ := w.document(t, "/.well-known/oauth-authorization-server")
	endpoints := 0
	for name, value := range document {
		text, ok := value.(string)
		if !ok || name == "issuer" {
			continue
		}
		endpoints++
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if member, ok := map[string]string{"jwks_uri": "keys", "status_list_aggregation_endpoint": "status_lists"}[name]; ok {
			if got, _ := w.document(t, u.Path); got[member] == nil {
				t.Errorf("%s: %v", name, got)
			}
			continue
		}
		if answer := w.form(t, u.Path, "", "", url.Values{}); answer.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, answer.status, answer.body)
		}
	}
	if endpoints != 5 {
		t.Errorf("%d endpoints", endpoints)
	}
	for _, grant := range document["grant_types_supported"].([]any) {
		answer := w.form(t, "/auth/token", "", "", values("grant_type", grant.(string), "audience", api))
		if strings.Contains(string(answer.body), "unsupported_grant_type") {
			t.Errorf("%s: %s", grant, answer.body)
		}
	}
	// The algorithms are those of the keys, also after a change of keys.
	var set struct{ Keys []struct{ Alg string } }
	if err := json.Unmarshal(w.snapshots.Load().JWKS, &set); err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		if !slices.Contains(document["id_token_signing_alg_values_supported"].([]any), any(key.Alg)) {
			t.Errorf("%s is missing", key.Alg)
		}
	}
	w.snapshots.Store(snapshot.Build(snapshot.Input{At: time.Now()}))
	if again, _ := w.document(t, "/.well-known/openid-configuration"); cmp.Diff([]any{}, again["id_token_signing_alg_values_supported"]) != "" {
		t.Errorf("without keys: %v", again["id_token_signing_alg_values_supported"])
	}
}

func TestMetadataOfAServerThatIsCutOffIsNotKept(t *testing.T) {
	w := startOAuth(t, func(_ *Options, parts *Parts, _ *snapshot.Input) { parts.Fence = snapshot.NewFence(time.Hour) })
	if _, header := w.document(t, "/.well-known/openid-configuration"); header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control = %q", header.Get("Cache-Control"))
	}
}

func TestMetadataNamesNoRevocationWithoutACluster(t *testing.T) {
	w := startOAuth(t, func(options *Options, _ *Parts, _ *snapshot.Input) { options.Manifests = []string{"manifests"} })
	document, _ := w.document(t, "/.well-known/oauth-authorization-server")
	if slices.Contains(document["grant_types_supported"].([]any), any("refresh_token")) {
		t.Errorf("grants = %v", document["grant_types_supported"])
	}
	for _, name := range []string{"revocation_endpoint", "revocation_endpoint_auth_methods_supported", "status_list_aggregation_endpoint"} {
		if document[name] != nil {
			t.Errorf("%s = %v", name, document[name])
		}
	}
	ask{path: "/statuslists"}.send(t, w.running).is(t, "there are none", 404, problemOf("not_found", "there is nothing here"))
}

// An issuer that is a name, as registries allow, cannot be looked for, and a document that said another one would be a lie.
func TestAnIssuerThatIsNoURLHasNoMetadata(t *testing.T) {
	w := startOAuth(t, func(options *Options, _ *Parts, _ *snapshot.Input) { options.Issuer = "tokenwright" })
	ask{path: "/.well-known/openid-configuration"}.send(t, w.running).
		is(t, "nobody can look for it", 404, problemOf("not_found", "there is nothing here"))
}
