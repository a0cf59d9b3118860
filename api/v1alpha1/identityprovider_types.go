package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SecretKeyRef names a key of a Secret in the same namespace.
// +structType=atomic
type SecretKeyRef struct {
	// name is the Secret's name; the Secret must carry the label tokenwright.dev/watch.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// key is the key within the Secret.
	// +optional
	// +kubebuilder:default=htpasswd
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// HtpasswdProvider knows users by name and password.
type HtpasswdProvider struct {
	// secretRef names the htpasswd file: one "user:bcrypt-hash" a line.
	// +required
	SecretRef SecretKeyRef `json:"secretRef,omitzero"`

	// groupsKey is the key of the same Secret that holds the groups: one "group: user user" a line.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	GroupsKey string `json:"groupsKey,omitempty"`

	// prefix is put before the names of users and groups, such as corp-. It has no colon, because HTTP Basic ends a user
	// name at the first; but for user:, which users of the Provide Ident API have, who log in without HTTP Basic.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self == 'user:' || !self.contains(':')",message="prefix must not contain a colon, unless it is user: for the Provide Ident API: HTTP Basic ends a user name at the first"
	Prefix string `json:"prefix,omitempty"`
}

// Verification says how ServiceAccount tokens are verified.
// +kubebuilder:validation:Enum=Online;OnlinePreferred;Offline
type Verification string

// The ways of Verification.
const (
	// VerifyOnline asks the API server for every token and refuses when it cannot be asked.
	VerifyOnline Verification = "Online"
	// VerifyOnlinePreferred asks the API server, and goes by the cluster's keys while it is away.
	VerifyOnlinePreferred Verification = "OnlinePreferred"
	// VerifyOffline goes by the cluster's keys only: a deleted ServiceAccount's token lives until it expires.
	VerifyOffline Verification = "Offline"
)

// KubernetesProvider knows the ServiceAccounts of this cluster by their tokens.
type KubernetesProvider struct {
	// audiences are what the ServiceAccount tokens must have been made for; one is enough.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Audiences []Audience `json:"audiences,omitempty"`

	// verification is Online, OnlinePreferred or Offline.
	// +optional
	// +kubebuilder:default=OnlinePreferred
	Verification Verification `json:"verification,omitempty"`
}

// IdentityProviderSpec says how callers prove who they are: exactly one way.
// +kubebuilder:validation:ExactlyOneOf=htpasswd;kubernetes;jwt
type IdentityProviderSpec struct {
	// htpasswd knows users by name and password.
	// +optional
	Htpasswd *HtpasswdProvider `json:"htpasswd,omitempty"`

	// kubernetes knows the ServiceAccounts of this cluster by their tokens.
	// +optional
	Kubernetes *KubernetesProvider `json:"kubernetes,omitempty"`

	// jwt knows callers by the tokens of one OpenID Connect issuer.
	// +optional
	JWT *JWTProvider `json:"jwt,omitempty"`
}

// IdentityProviderStatus is what the manager found out about a provider.
type IdentityProviderStatus struct {
	// conditions are Ready, and Stalled while a person has to help.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('0001-01-01T00:00:00Z'))",message="lastTransitionTime must be an RFC 3339 time in upper case"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the conditions speak of; -1 before the first.
	// +optional
	// +kubebuilder:default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// type is htpasswd, kubernetes or jwt.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Type string `json:"type,omitempty"`
}

// IdentityProvider says who is asking.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=idp,categories=tokenwright
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.status.type`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type IdentityProvider struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says how callers prove who they are.
	// +required
	Spec IdentityProviderSpec `json:"spec,omitzero"`

	// status is what the manager found out about the provider.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status IdentityProviderStatus `json:"status,omitzero"`
}

// IdentityProviderList is a list of IdentityProviders.
// +kubebuilder:object:root=true
type IdentityProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []IdentityProvider `json:"items"`
}
