package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of every kind of Tokenwright.
const GroupName = "tokenwright.dev"

var (
	// GroupVersion is the group and version of the kinds in this package.
	GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

	// SchemeGroupVersion is GroupVersion under the name that generated code looks for.
	SchemeGroupVersion = GroupVersion

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme registers the kinds of this package.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&AccessPolicy{}, &AccessPolicyList{},
		&ClusterAccessPolicy{}, &ClusterAccessPolicyList{},
		&SigningKey{}, &SigningKeyList{},
		&IdentityProvider{}, &IdentityProviderList{},
		&IssuedToken{}, &IssuedTokenList{},
		&TokenRevocation{}, &TokenRevocationList{},
		&ProtectedResource{}, &ProtectedResourceList{},
		&PermissionRequest{}, &PermissionRequestList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
