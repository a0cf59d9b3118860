package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RequestState says what became of a PermissionRequest.
// +kubebuilder:validation:Enum=Pending;Approved;Denied
type RequestState string

// The states of a PermissionRequest. An approval is taken back by a denial.
const (
	RequestPending  RequestState = "Pending"
	RequestApproved RequestState = "Approved"
	RequestDenied   RequestState = "Denied"
)

// RequestedResource names a ProtectedResource of the same namespace. Another one of the same name is not meant: the uid says
// which one it was.
type RequestedResource struct {
	// name is the ProtectedResource's metadata.name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// uid is the ProtectedResource's uid.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`
}

// PermissionRequestSpec is who asked for what. It never changes.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec is immutable: what is asked for is another PermissionRequest"
type PermissionRequestSpec struct {
	// resource is the ProtectedResource that is asked for.
	// +required
	Resource RequestedResource `json:"resource,omitzero"`

	// audience is the resource server.
	// +required
	Audience Audience `json:"audience,omitempty"`

	// owner is the user who owned the resource when it was asked for. A later owner has to approve anew.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Owner string `json:"owner,omitempty"`

	// requester is the user who asks, with the provider's prefix.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Requester string `json:"requester,omitempty"`

	// scopes are what is asked for.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []ResourceScope `json:"scopes,omitempty"`
}

// PermissionRequestStatus is what became of a request. Whoever may write it grants access to the resource.
type PermissionRequestStatus struct {
	// conditions are Ready, which is True while the request is decided and what was decided is in force.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('0001-01-01T00:00:00Z'))",message="lastTransitionTime must be an RFC 3339 time in upper case"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the conditions speak of; -1 before the first time.
	// +optional
	// +kubebuilder:default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// state is Pending, Approved or Denied.
	// +optional
	// +kubebuilder:default=Pending
	State RequestState `json:"state,omitempty"`

	// scopes are those of the requested ones that are approved; all of them when absent.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Scopes []ResourceScope `json:"scopes,omitempty"`

	// decidedBy is who decided, as they called themselves; the audit logs know who it was.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	DecidedBy string `json:"decidedBy,omitempty"`

	// decidedAt is when.
	// +optional
	DecidedAt DateTime `json:"decidedAt,omitempty"`
}

// PermissionRequest asks the owner of a ProtectedResource for access to it. Servers create it for a user who was refused;
// approved, it grants the scopes until it is denied or deleted.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=preq,categories=tokenwright
// +kubebuilder:selectablefield:JSONPath=`.spec.requester`
// +kubebuilder:selectablefield:JSONPath=`.spec.owner`
// +kubebuilder:printcolumn:name="Requester",type=string,JSONPath=`.spec.requester`
// +kubebuilder:printcolumn:name="Resource",type=string,JSONPath=`.spec.resource.name`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Scopes",type=string,JSONPath=`.spec.scopes`,priority=1
// +kubebuilder:printcolumn:name="Owner",type=string,JSONPath=`.spec.owner`,priority=1
// +kubebuilder:printcolumn:name="Audience",type=string,JSONPath=`.spec.audience`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,priority=1
type PermissionRequest struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is who asked for what.
	// +required
	Spec PermissionRequestSpec `json:"spec,omitzero"`

	// status is what became of it.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status PermissionRequestStatus `json:"status,omitzero"`
}

// PermissionRequestList is a list of PermissionRequests.
// +kubebuilder:object:root=true
type PermissionRequestList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []PermissionRequest `json:"items"`
}
