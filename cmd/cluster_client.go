package cmd

import (
	"fmt"
	"io"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// resource is what RBAC calls a kind that the commands of people read or write.
type resource struct {
	version                schema.GroupVersion
	kind, plural, singular string
	scope                  meta.RESTScope
}

// The resources. A command that reads another kind adds it here, and to the list below.
var (
	accessPolicies        = resource{v1alpha1.GroupVersion, "AccessPolicy", "accesspolicies", "accesspolicy", meta.RESTScopeNamespace}
	clusterAccessPolicies = resource{v1alpha1.GroupVersion, "ClusterAccessPolicy", "clusteraccesspolicies", "clusteraccesspolicy", meta.RESTScopeRoot}
	signingKeys           = resource{v1alpha1.GroupVersion, "SigningKey", "signingkeys", "signingkey", meta.RESTScopeNamespace}
	issuedTokens          = resource{v1alpha1.GroupVersion, "IssuedToken", "issuedtokens", "issuedtoken", meta.RESTScopeNamespace}
	tokenRevocations      = resource{v1alpha1.GroupVersion, "TokenRevocation", "tokenrevocations", "tokenrevocation", meta.RESTScopeNamespace}
	protectedResources    = resource{v1alpha1.GroupVersion, "ProtectedResource", "protectedresources", "protectedresource", meta.RESTScopeNamespace}
	permissionRequests    = resource{v1alpha1.GroupVersion, "PermissionRequest", "permissionrequests", "permissionrequest", meta.RESTScopeNamespace}
	selfSubjectReviews    = resource{authenticationv1.SchemeGroupVersion, "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview", meta.RESTScopeRoot}
	namespaces            = resource{corev1.SchemeGroupVersion, "Namespace", "namespaces", "namespace", meta.RESTScopeRoot}

	resources = []resource{
		accessPolicies, clusterAccessPolicies, signingKeys, issuedTokens, tokenRevocations, protectedResources, permissionRequests,
		selfSubjectReviews, namespaces,
	}
)

// String names it as a rule of a role has to: "signingkeys of tokenwright.dev".
func (r resource) String() string {
	if r.version.Group == "" {
		return r.plural
	}
	return r.plural + " of " + r.version.Group
}

// client returns a client that has sent nothing yet.
func (f *clusterFlags) client(warnings io.Writer) (client.Client, error) {
	config, err := f.config(warnings)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register Tokenwright's kinds: %w", err)
	}
	if err := authenticationv1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register SelfSubjectReview: %w", err)
	}
	// What the libraries log is for those who run a server; what goes wrong here is in the error.
	useLogger(logr.Discard())
	// The mapping is known: to ask the API server for it would cost two requests, and hide its answers to the others.
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, r := range resources {
		mapper.AddSpecific(r.version.WithKind(r.kind), r.version.WithResource(r.plural), r.version.WithResource(r.singular), r.scope)
	}
	c, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", config.Host, err)
	}
	return c, nil
}
