package v1alpha1

import (
	"bytes"
	"encoding/json"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Permission says whether something is allowed.
// +kubebuilder:validation:Enum=Forbidden;Allowed
type Permission string

// The values of Permission.
const (
	Forbidden Permission = "Forbidden"
	Allowed   Permission = "Allowed"
)

// OfflineAccess lets the subjects have refresh tokens.
type OfflineAccess struct {
	// maxLifetime is the longest life of a refresh token, from 1m to 99999h.
	// +required
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('99999h')",message="maxLifetime must be from 1m to 99999h"
	MaxLifetime Duration `json:"maxLifetime,omitempty"`

	// nonExpiring says whether tokens without an expiry may be had; the SigningKey must allow them too.
	// +optional
	// +kubebuilder:default=Forbidden
	NonExpiring Permission `json:"nonExpiring,omitempty"`
}

// ClaimValue is any JSON value. Its size is bounded by the compiler: 4 KiB each.
type ClaimValue struct {
	// Raw is the JSON text.
	Raw []byte `json:"-"`
}

// MarshalJSON writes the value as it is; an empty one is null.
func (v ClaimValue) MarshalJSON() ([]byte, error) {
	if len(v.Raw) == 0 {
		return []byte("null"), nil
	}
	return v.Raw, nil
}

// UnmarshalJSON keeps the text. It fails only on what is not JSON, which the API server never stores.
func (v *ClaimValue) UnmarshalJSON(data []byte) error {
	if !json.Valid(data) {
		return errors.New("claim value is not JSON")
	}
	v.Raw = bytes.Clone(data)
	return nil
}

// Claim is one claim that the subjects' tokens carry.
// +structType=atomic
type Claim struct {
	// name is the claim's name. Registered names such as sub and exp are refused, in capitals too: many readers do not tell
	// them apart. So are all that begin with tokenwright.dev/.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.:/-]+$`
	// +kubebuilder:validation:XValidation:rule="!(self.lowerAscii() in ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'access', 'nats', 'authorization', 'permissions', 'scope', 'client_id', 'typ', 'cnf', 'act', 'status', 'auth_time']) && !self.lowerAscii().startsWith('tokenwright.dev/')",message="name must not be a claim that the server sets itself"
	Name string `json:"name,omitempty"`

	// value is any JSON value of at most 4 KiB.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Value ClaimValue `json:"value"`
}

// ClusterAccessPolicySpec is the platform team's policy.
// +kubebuilder:validation:XValidation:rule="(has(self.rules) && size(self.rules) > 0) || has(self.offlineAccess) || has(self.claims)",message="at least one of rules, offlineAccess and claims must be given",reason=FieldValueRequired,fieldPath=".rules"
// +kubebuilder:validation:XValidation:rule="self.effect == 'Allow' || !has(self.offlineAccess)",message="offlineAccess may only be given when effect is Allow",reason=FieldValueForbidden,fieldPath=".offlineAccess"
// +kubebuilder:validation:XValidation:rule="self.effect == 'Allow' || !has(self.claims)",message="claims may only be given when effect is Allow",reason=FieldValueForbidden,fieldPath=".claims"
type ClusterAccessPolicySpec struct {
	PolicySpec `json:",inline"`

	// offlineAccess lets the subjects have refresh tokens for the audiences.
	// +optional
	OfflineAccess *OfflineAccess `json:"offlineAccess,omitempty"`

	// claims are put into the subjects' tokens for the audiences.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Claims []Claim `json:"claims,omitempty"`
}

// ClusterAccessPolicy grants or denies anywhere. Its Deny is final; its Allow cannot be taken away by a tenant.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=capol,categories=tokenwright
// +kubebuilder:printcolumn:name="Effect",type=string,JSONPath=`.spec.effect`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type ClusterAccessPolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the policy grants or denies.
	// +required
	Spec ClusterAccessPolicySpec `json:"spec,omitzero"`

	// status is what the manager found out about the policy.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status PolicyStatus `json:"status,omitzero"`
}

// ClusterAccessPolicyList is a list of ClusterAccessPolicies.
// +kubebuilder:object:root=true
type ClusterAccessPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []ClusterAccessPolicy `json:"items"`
}
