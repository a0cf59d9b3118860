package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/review"
)

// pageSize is how many objects are asked for at once: a hundred thousand in one answer would hold up the API server.
const pageSize = 500

// maxRestarts is how often a list is begun anew because it took so long that the API server has forgotten its beginning.
const maxRestarts = 3

// clusterReader reads what decides from a cluster.
type clusterReader struct {
	client client.Client
}

// connect returns a reader. Nothing is sent yet.
func (f *policyFlags) connect(c *console) (*clusterReader, error) {
	config, err := f.cluster.config(c.errors.out)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register Tokenwright's kinds: %w", err)
	}
	useLogger(logr.Discard())
	// As in clusterFlags.connect.
	mapper := meta.NewDefaultRESTMapper(nil)
	add := func(version schema.GroupVersion, kind, plural, singular string, scope meta.RESTScope) {
		mapper.AddSpecific(version.WithKind(kind), version.WithResource(plural), version.WithResource(singular), scope)
	}
	add(v1alpha1.GroupVersion, "AccessPolicy", "accesspolicies", "accesspolicy", meta.RESTScopeNamespace)
	add(v1alpha1.GroupVersion, "ClusterAccessPolicy", "clusteraccesspolicies", "clusteraccesspolicy", meta.RESTScopeRoot)
	add(v1alpha1.GroupVersion, "SigningKey", "signingkeys", "signingkey", meta.RESTScopeNamespace)
	add(v1alpha1.GroupVersion, "ProtectedResource", "protectedresources", "protectedresource", meta.RESTScopeNamespace)
	add(v1alpha1.GroupVersion, "PermissionRequest", "permissionrequests", "permissionrequest", meta.RESTScopeNamespace)
	add(corev1.SchemeGroupVersion, "Namespace", "namespaces", "namespace", meta.RESTScopeRoot)
	made, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", config.Host, err)
	}
	return &clusterReader{client: made}, nil
}

// everyNamespace is where all AccessPolicies are.
const everyNamespace = "*"

// read reads all that decides about what the namespace owns; of what nobody owns (empty) only the platform's policies.
func (r *clusterReader) read(ctx context.Context, systemNamespace, owner string) (o review.Objects, err error) {
	if owner != "" {
		if owner == everyNamespace {
			owner = ""
		}
		o.AccessPolicies, err = pages(ctx, r, "accesspolicies", owner, func(l *v1alpha1.AccessPolicyList) []v1alpha1.AccessPolicy { return l.Items })
		if err != nil {
			return o, err
		}
	}
	o.ClusterAccessPolicies, err = pages(ctx, r, "clusteraccesspolicies", "", func(l *v1alpha1.ClusterAccessPolicyList) []v1alpha1.ClusterAccessPolicy { return l.Items })
	if err != nil {
		return o, err
	}
	o.SigningKeys, err = pages(ctx, r, "signingkeys", systemNamespace, func(l *v1alpha1.SigningKeyList) []v1alpha1.SigningKey { return l.Items })
	if err != nil {
		return o, err
	}
	err = r.namespaces(ctx, &o)
	return o, err
}

// resources reads the ProtectedResources of a namespace and the requests about them.
func (r *clusterReader) resources(ctx context.Context, o *review.Objects, namespace string) (err error) {
	o.ProtectedResources, err = pages(ctx, r, "protectedresources", namespace, func(l *v1alpha1.ProtectedResourceList) []v1alpha1.ProtectedResource { return l.Items })
	if err != nil {
		return err
	}
	o.PermissionRequests, err = pages(ctx, r, "permissionrequests", namespace, func(l *v1alpha1.PermissionRequestList) []v1alpha1.PermissionRequest { return l.Items })
	return err
}

// namespaces reads labels, where a SigningKey selects namespaces by them.
func (r *clusterReader) namespaces(ctx context.Context, o *review.Objects) error {
	o.Namespaces = map[string]map[string]string{}
	if !slices.ContainsFunc(o.SigningKeys, func(k *v1alpha1.SigningKey) bool { return k.Spec.Namespaces.From == v1alpha1.NamespacesSelector }) {
		return nil
	}
	found, err := pages(ctx, r, "namespaces", "", func(l *metav1.PartialObjectMetadataList) []metav1.PartialObjectMetadata { return l.Items })
	for _, n := range found {
		o.Namespaces[n.Name] = n.Labels
	}
	return err
}

// pages reads a list in parts. Each part is read into a list of its own: decoders leave what was there before where the
// next object has nothing.
func pages[T, L any, P interface {
	*L
	client.ObjectList
}](ctx context.Context, r *clusterReader, resource, namespace string, items func(P) []T) ([]*T, error) {
	var found []*T
	next := ""
	for restarts := 0; ; {
		list := P(new(L))
		if partial, ok := any(list).(*metav1.PartialObjectMetadataList); ok {
			partial.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
		}
		err := r.client.List(ctx, list, client.InNamespace(namespace), client.Limit(pageSize), client.Continue(next))
		switch {
		case apierrors.IsResourceExpired(err) && next != "" && restarts < maxRestarts:
			restarts++
			next, found = "", nil
			continue
		case err != nil:
			return nil, explainList(err, resource, namespace)
		}
		page := items(list)
		for i := range page {
			found = append(found, &page[i])
		}
		if next = list.GetContinue(); next == "" {
			return found, nil
		}
	}
}

// explainList says what to do about an answer of the API server.
func explainList(err error, resource, namespace string) error {
	where := "in all namespaces"
	switch {
	case namespace != "":
		where = fmt.Sprintf("in namespace %q", namespace)
	case resource == "clusteraccesspolicies" || resource == "namespaces":
		where = "in the cluster"
	}
	switch {
	case apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse):
		return fmt.Errorf("this cluster does not know %s: install Tokenwright in it, or name another with --context: %w", resource, err)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "cannot list resource"):
		return fmt.Errorf("you need the right to list %s %s; or ask about files, with -f: %w", resource, where, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server does not accept the credentials of the kubeconfig: log in again, or name another context with --context: %w", err)
	}
	return fmt.Errorf("list %s %s: %w", resource, where, err)
}

// world is what a question about a resource is asked of: files if there are any, otherwise the cluster.
func (f *policyFlags) world(ctx context.Context, c *console, files []string, about policy.Resource) (*review.World, error) {
	if len(files) > 0 {
		return f.worldOfFiles(c, "", files)
	}
	reader, err := f.connect(c)
	if err != nil {
		return nil, err
	}
	objects, err := reader.read(ctx, f.systemNamespace, about.Owner())
	if err != nil {
		return nil, err
	}
	if about.Namespace != "" {
		// Who may not read them, and who has a cluster without them, still wants to know of the policies.
		if err := reader.resources(ctx, &objects, about.Namespace); err != nil {
			c.warn("owners of protected resources, and approved requests, are not looked at: %v", err)
		}
	}
	f.warnOfNoKeys(c, objects)
	return review.New(objects, false), nil
}

// warnOfNoKeys says why all answers of a cluster are no.
func (f *policyFlags) warnOfNoKeys(c *console, objects review.Objects) {
	if len(objects.SigningKeys) == 0 {
		c.warn("there is no SigningKey in namespace %q: nobody gets a token; name the namespace in which Tokenwright is installed with --system-namespace", f.systemNamespace)
	}
}
