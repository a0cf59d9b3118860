package cmd

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/review"
)

// clusterReader reads what decides from a cluster.
type clusterReader struct {
	client client.Client
}

// connect returns a reader. Nothing is sent yet.
func (f *policyFlags) connect(c *console) (*clusterReader, error) {
	made, err := f.cluster.client(c.errors.out)
	if err != nil {
		return nil, err
	}
	return &clusterReader{client: made}, nil
}

// listOf is a call for the objects of a namespace; empty: of all.
func listOf(r resource, namespace string) call {
	return call{verb: "list", resource: r, namespace: namespace, remedy: "; or ask about files, with -f"}
}

// everyNamespace is where all AccessPolicies are.
const everyNamespace = "*"

// read reads all that decides about what the namespace owns; of what nobody owns (empty) only the platform's policies.
func (r *clusterReader) read(ctx context.Context, systemNamespace, owner string) (o review.Objects, err error) {
	if owner != "" {
		if owner == everyNamespace {
			owner = ""
		}
		o.AccessPolicies, err = pages(ctx, r.client, listOf(accessPolicies, owner), func(l *v1alpha1.AccessPolicyList) []v1alpha1.AccessPolicy { return l.Items })
		if err != nil {
			return o, err
		}
	}
	o.ClusterAccessPolicies, err = pages(ctx, r.client, listOf(clusterAccessPolicies, ""), func(l *v1alpha1.ClusterAccessPolicyList) []v1alpha1.ClusterAccessPolicy { return l.Items })
	if err != nil {
		return o, err
	}
	o.SigningKeys, err = pages(ctx, r.client, listOf(signingKeys, systemNamespace), func(l *v1alpha1.SigningKeyList) []v1alpha1.SigningKey { return l.Items })
	if err != nil {
		return o, err
	}
	err = r.namespaces(ctx, &o)
	return o, err
}

// resources reads the ProtectedResources of a namespace and the requests about them.
func (r *clusterReader) resources(ctx context.Context, o *review.Objects, namespace string) (err error) {
	o.ProtectedResources, err = pages(ctx, r.client, listOf(protectedResources, namespace), func(l *v1alpha1.ProtectedResourceList) []v1alpha1.ProtectedResource { return l.Items })
	if err != nil {
		return err
	}
	o.PermissionRequests, err = pages(ctx, r.client, listOf(permissionRequests, namespace), func(l *v1alpha1.PermissionRequestList) []v1alpha1.PermissionRequest { return l.Items })
	return err
}

// namespaces reads labels, where a SigningKey selects namespaces by them.
func (r *clusterReader) namespaces(ctx context.Context, o *review.Objects) error {
	o.Namespaces = map[string]map[string]string{}
	if !slices.ContainsFunc(o.SigningKeys, func(k *v1alpha1.SigningKey) bool { return k.Spec.Namespaces.From == v1alpha1.NamespacesSelector }) {
		return nil
	}
	found, err := pages(ctx, r.client, listOf(namespaces, ""), func(l *metav1.PartialObjectMetadataList) []metav1.PartialObjectMetadata { return l.Items })
	for _, n := range found {
		o.Namespaces[n.Name] = n.Labels
	}
	return err
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
