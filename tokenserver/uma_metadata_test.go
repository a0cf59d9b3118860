package tokenserver

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/registration"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// startPrefixed serves everything below a path.
func startPrefixed(t *testing.T) *umaWorld {
	t.Helper()
	return startUMA(t, func(options *Options, parts *Parts, _ *snapshot.Input) {
		options.Issuer, options.PathPrefix = prefixedIssuer, "/auth"
		parts.Registrations = registration.New(registration.Options{
			Index: &registration.Index{}, Snapshots: parts.Snapshots, Now: time.Now, Log: logr.Discard(),
		})
	})
}

func TestUMAMetadata(t *testing.T) {
	w := startPrefixed(t)
	methods := []any{"client_secret_basic", "Bearer"}
	want := map[string]any{
		"issuer": prefixedIssuer, "jwks_uri": prefixedIssuer + "/.well-known/jwks.json", "token_endpoint": prefixedIssuer + "/token",
		"introspection_endpoint": prefixedIssuer + "/introspect", "introspection_endpoint_auth_methods_supported": methods,
		"revocation_endpoint": prefixedIssuer + "/revoke", "revocation_endpoint_auth_methods_supported": methods,
		"status_list_aggregation_endpoint": prefixedIssuer + "/statuslists",
		"permission_endpoint":              prefixedIssuer + "/authz/protection/permission",
		"resource_registration_endpoint":   prefixedIssuer + "/authz/protection/resource_set",
		"scopes_supported":                 []any{"uma_authorization", "uma_protection"},
		"grant_types_supported": []any{
			"password", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange", umaGrant,
		},
		"response_types_supported": []any{}, "subject_types_supported": []any{"public"}, "id_token_signing_alg_values_supported": []any{"ES256"},
		"token_endpoint_auth_methods_supported": []any{"none", "client_secret_basic"},
	}
	for _, path := range []string{"/.well-known/uma2-configuration", "/auth/.well-known/uma2-configuration", "/.well-known/uma2-configuration/auth"} {
		document, _ := w.document(t, path)
		if diff := cmp.Diff(want, document); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		w.isServed(t, document)
	}
}

func TestMetadataOfTheDecisionPointBelowAPath(t *testing.T) {
	w := startPrefixed(t)
	want := map[string]any{
		"policy_decision_point": prefixedIssuer, "access_evaluation_endpoint": prefixedIssuer + "/access/v1/evaluation",
		"access_evaluations_endpoint": prefixedIssuer + "/access/v1/evaluations",
	}
	for _, path := range []string{"/.well-known/authzen-configuration", "/auth/.well-known/authzen-configuration", "/.well-known/authzen-configuration/auth"} {
		document, _ := w.document(t, path)
		if diff := cmp.Diff(want, document); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		delete(document, "policy_decision_point") // it is a name, as the issuer is
		w.isServed(t, document)
	}
}

// isServed goes to every URL of a document, and looks whether there is an endpoint.
func (w *umaWorld) isServed(t *testing.T, document map[string]any) {
	t.Helper()
	origin := strings.TrimSuffix(prefixedIssuer, "/auth")
	for name, value := range document {
		url, ok := value.(string)
		if !ok || name == "issuer" {
			continue
		}
		path, found := strings.CutPrefix(url, origin)
		if !found {
			t.Errorf("%s is elsewhere: %s", name, url)
			continue
		}
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if answer := w.json(t, method, path, "", ""); answer.status == http.StatusNotFound || answer.status >= 500 {
				t.Errorf("%s: %s %s is answered with %d", name, method, path, answer.status)
			}
		}
	}
}
