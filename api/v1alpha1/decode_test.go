package v1alpha1_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
)

// TestDefaults shows what the API server makes of the smallest object of each kind, as a typed client reads it.
func TestDefaults(t *testing.T) {
	defaultsName, _ := tokenNamed("defaults", nil)
	defaultsID := strings.TrimPrefix(defaultsName, "token-") + randomPart
	subjects := []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}}
	rules := []v1alpha1.Rule{{
		Type: "repository", Names: []v1alpha1.ResourceName{"team-a/**"}, Actions: []v1alpha1.Action{"pull"},
	}}
	policySpec := v1alpha1.PolicySpec{Effect: v1alpha1.EffectAllow, Subjects: subjects, Rules: rules}
	cases := map[string]struct {
		reason string
		kind   kind
		spec   m
		into   client.Object
		want   client.Object
	}{
		"AccessPolicy": {
			reason: "a policy allows unless it says otherwise, and nobody has looked at it",
			kind:   accessPolicy, spec: accessPolicy.spec, into: &v1alpha1.AccessPolicy{},
			want: &v1alpha1.AccessPolicy{
				Spec:   v1alpha1.AccessPolicySpec{PolicySpec: policySpec},
				Status: v1alpha1.PolicyStatus{ObservedGeneration: -1},
			},
		},
		"ClusterAccessPolicy": {
			reason: "refresh tokens expire unless the policy says otherwise, and the text of a claim is kept",
			kind:   clusterAccessPolicy,
			spec:   merged(clusterAccessPolicy.spec, merged(claim(nil), m{"offlineAccess": m{"maxLifetime": "24h"}})),
			into:   &v1alpha1.ClusterAccessPolicy{},
			want: &v1alpha1.ClusterAccessPolicy{
				Spec: v1alpha1.ClusterAccessPolicySpec{
					PolicySpec:    policySpec,
					OfflineAccess: &v1alpha1.OfflineAccess{MaxLifetime: "24h", NonExpiring: v1alpha1.Forbidden},
					Claims:        []v1alpha1.Claim{{Name: "prvd", Value: v1alpha1.ClaimValue{Raw: []byte(`{"permissions":415}`)}}},
				},
				Status: v1alpha1.PolicyStatus{ObservedGeneration: -1},
			},
		},
		"SigningKey": {
			reason: "every field of a key but its audiences has a default, also within objects that were left out",
			kind:   signingKey, spec: signingKey.spec, into: &v1alpha1.SigningKey{},
			want: &v1alpha1.SigningKey{
				Spec: v1alpha1.SigningKeySpec{
					Audiences:         []v1alpha1.Audience{"registry.example.com"},
					Namespaces:        v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesAll},
					Algorithm:         v1alpha1.ES256,
					TokenLifetime:     "15m",
					KeyIdentification: v1alpha1.X509Chain,
					KeyIDFormat:       v1alpha1.Thumbprint,
					NonExpiringTokens: v1alpha1.Forbidden,
					Rotation:          v1alpha1.Rotation{Mode: v1alpha1.RotationAutomatic, Interval: "720h", PublishAhead: "2h"},
				},
				Status: v1alpha1.SigningKeyStatus{ObservedGeneration: -1},
			},
		},
		"IdentityProvider with htpasswd": {
			reason: "the file lies under the key htpasswd",
			kind:   identityProvider, spec: identityProvider.spec, into: &v1alpha1.IdentityProvider{},
			want: &v1alpha1.IdentityProvider{
				Spec: v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{
					SecretRef: v1alpha1.SecretKeyRef{Name: "users", Key: "htpasswd"},
				}},
				Status: v1alpha1.IdentityProviderStatus{ObservedGeneration: -1},
			},
		},
		"IssuedToken": {
			reason: "all of it is said by who writes it",
			kind:   issuedToken, spec: merged(issuedToken.spec, m{"id": defaultsID}), into: &v1alpha1.IssuedToken{},
			want: &v1alpha1.IssuedToken{Spec: v1alpha1.IssuedTokenSpec{
				Type: v1alpha1.RefreshToken, ID: defaultsID, Subject: v1alpha1.RecordedSubject{Username: "alice"},
				Provider: v1alpha1.RecordedProvider{Name: "users", UID: "1"}, AuthTime: "2026-01-01T00:00:00Z",
				Audience: "registry.example.com", SecretHash: strings.Repeat("s", 43), Expires: "2027-01-01T00:00:00Z",
			}},
		},
		"TokenRevocation": {
			reason: "as above",
			kind:   tokenRevocation, spec: tokenRevocation.spec, into: &v1alpha1.TokenRevocation{},
			want: &v1alpha1.TokenRevocation{Spec: v1alpha1.TokenRevocationSpec{Token: &v1alpha1.RevokedToken{ID: "abc"}}},
		},
		"ProtectedResource": {
			reason: "it has a type, is nobody's, and its owner decides nothing",
			kind:   protectedResource, spec: protectedResource.spec, into: &v1alpha1.ProtectedResource{},
			want: &v1alpha1.ProtectedResource{
				Spec: v1alpha1.ProtectedResourceSpec{
					Type: "resource", Scopes: []v1alpha1.ResourceScope{"view"}, OwnerManagedAccess: v1alpha1.Forbidden, Audience: "photos.example.com",
				},
				Status: v1alpha1.ProtectedResourceStatus{ObservedGeneration: -1},
			},
		},
		"PermissionRequest": {
			reason: "nobody has decided, whatever the status says that came with it",
			kind:   permissionRequest, spec: permissionRequest.spec, into: &v1alpha1.PermissionRequest{},
			want: &v1alpha1.PermissionRequest{
				Spec: v1alpha1.PermissionRequestSpec{
					Resource: v1alpha1.RequestedResource{Name: "album", UID: "8c1c7a5e-1d9c-4f5b-9b1a-3b9b7a1d2c3e"},
					Audience: "photos.example.com", Owner: "alice", Requester: "bob", Scopes: []v1alpha1.ResourceScope{"view"},
				},
				Status: v1alpha1.PermissionRequestStatus{ObservedGeneration: -1, State: v1alpha1.RequestPending},
			},
		},
		"IdentityProvider with kubernetes": {
			reason: "the API server is asked if it answers",
			kind:   identityProvider, spec: m{"kubernetes": m{"audiences": l{"tokenwright"}}}, into: &v1alpha1.IdentityProvider{},
			want: &v1alpha1.IdentityProvider{
				Spec: v1alpha1.IdentityProviderSpec{Kubernetes: &v1alpha1.KubernetesProvider{
					Audiences: []v1alpha1.Audience{"tokenwright"}, Verification: v1alpha1.VerifyOnlinePreferred,
				}},
				Status: v1alpha1.IdentityProviderStatus{ObservedGeneration: -1},
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			// A status that a client sends with a new object must not count.
			sent := c.kind.object("defaults", c.spec, m{"observedGeneration": 99})
			if a := send(t, http.MethodPost, c.kind.path(), sent); !a.accepted() {
				t.Fatalf("create: %s", a.refusal.Message)
			}
			path := c.kind.path("defaults")
			defer send(t, http.MethodDelete, path, nil)
			key := client.ObjectKey{Name: path[strings.LastIndex(path, "/")+1:]}
			if c.kind.namespaced {
				key.Namespace = "default"
			}
			if err := plane.Client.Get(t.Context(), key, c.into); err != nil {
				t.Fatalf("read: %v", err)
			}
			ignored := cmpopts.IgnoreTypes(metav1.TypeMeta{}, metav1.ObjectMeta{})
			if diff := cmp.Diff(c.want, c.into, ignored); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// typed reads JSON as a typed client does, an informer's included.
func typed(text []byte) (runtime.Object, error) {
	object, _, err := serializer.NewCodecFactory(controlplane.Scheme()).UniversalDeserializer().Decode(text, nil, nil)
	return object, err
}
