package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AccessPolicySpec is a tenant's policy. It speaks only of repositories under its own namespace's name, of
// ProtectedResources in its namespace, and of audiences whose SigningKey admits the namespace.
// +kubebuilder:validation:XValidation:rule="has(self.rules) && size(self.rules) > 0",message="rules must not be empty",reason=FieldValueRequired,fieldPath=".rules"
// +kubebuilder:validation:XValidation:rule="!has(self.rules) || self.rules.all(r, !(r.type in ['registry', 'nats', 'oauth']))",message="rules of an AccessPolicy must not be of type registry, nats or oauth: use a ClusterAccessPolicy",reason=FieldValueForbidden,fieldPath=".rules"
type AccessPolicySpec struct {
	PolicySpec `json:",inline"`
}

// AccessPolicy grants or denies, within the namespace that it lives in.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=apol,categories=tokenwright
// +kubebuilder:printcolumn:name="Effect",type=string,JSONPath=`.spec.effect`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type AccessPolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the policy grants or denies.
	// +required
	Spec AccessPolicySpec `json:"spec,omitzero"`

	// status is what the manager found out about the policy.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status PolicyStatus `json:"status,omitzero"`
}

// AccessPolicyList is a list of AccessPolicies.
// +kubebuilder:object:root=true
type AccessPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []AccessPolicy `json:"items"`
}
